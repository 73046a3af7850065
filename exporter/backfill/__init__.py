"""Write what a gateway recorded in the past as OpenMetrics with times, for Prometheus to import."""
