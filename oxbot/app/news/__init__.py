"""News: sources are read, what they publish is recorded, and what it says is read in quarantine."""
