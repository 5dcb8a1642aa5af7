"""The outside world behind our ports: Postgres, files, synthetic markets."""
