"""Joins adapters and runners, one module per kind of process, so that each imports only what it runs."""
