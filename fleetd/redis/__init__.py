"""Connections to a Redis or Valkey for whoever needs one: which server it is, its answers, and what went wrong."""
