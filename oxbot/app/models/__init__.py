"""Asking language models: what they are, in which order, how often, for how much, and what comes of it."""
