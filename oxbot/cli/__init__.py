"""The command line: every command is one call of a use case, and every expected failure one clear line."""
