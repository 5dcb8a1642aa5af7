"""Use cases over ports: running bots and markets, projecting, replaying."""
