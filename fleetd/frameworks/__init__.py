"""Frameworks are data: one TOML file each, and the one loader that turns a file into what the rest needs to know."""
