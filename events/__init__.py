"""What happened to every bot, and the append-only log that keeps it."""
