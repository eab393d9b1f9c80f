"""What a spawn fills in, in a command, in the values of `env` and in the directory."""

from __future__ import annotations

AT_SPAWN = ("slot", "pool", "host", "queues", "epoch", "run")
