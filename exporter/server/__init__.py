"""How the exporter is reached: listeners, connections, TLS, passwords. Knows ASGI and nothing of keys."""
