"""Where oxbot runs: thin Ray shells over the runners of oxbot.app."""
