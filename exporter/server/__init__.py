"""Accept connections: listeners, deadlines, TLS, passwords. Knows ASGI and nothing of keys."""
