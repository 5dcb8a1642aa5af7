"""Decides, reads and talks to the world; knows nothing of where it runs."""
