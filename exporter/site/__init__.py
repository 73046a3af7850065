"""What the exporter answers: metrics, probes, status page, JSON. Knows no socket and no TLS."""
