"""A local exchange that speaks OKX v5 on loopback: a deterministic engine, and the wire around it."""
