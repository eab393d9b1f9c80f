"""From the text of pool files to a FleetSpec, with every problem named at its file, line and key."""
