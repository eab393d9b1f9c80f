"""Frameworks as data: one TOML file each, and the one loader that reads them."""
