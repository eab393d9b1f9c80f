"""The Coordinator on Redis: every key in `keys`, one Lua script for each atomic step in `scripts/`."""
