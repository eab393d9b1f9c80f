"""fleetd: supervise fleets of queue workers."""

__version__ = "0.1.0"
