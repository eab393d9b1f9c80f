"""Where the hosts of a fleet meet: the port, and what stands behind it."""
