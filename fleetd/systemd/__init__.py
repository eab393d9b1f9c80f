"""Units of systemd: written from one text, installed, and what a unit has to do that the daemon cannot."""
