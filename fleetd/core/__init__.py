"""The pure core: every decision, and no process, socket, file or clock."""
