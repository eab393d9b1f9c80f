"""What Prometheus is told: one table of metrics, each a pure function of what is known when it asks."""
