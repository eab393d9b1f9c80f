"""Pools of tiny workers, as tables of a pool file."""

from __future__ import annotations

import sys
from typing import Any

from tests.support.process_world import PROGRAMS

Table = dict[str, Any]

SOON: Table = {"healthy-after": "100ms"}
SLEEPING: Table = {**SOON, "command": ["sleep", "1000"]}


def shell(script: str, **keys: Any) -> Table:
    """Workers that run a shell script; keys are spelled with underscores."""
    return {**SOON, "command": ["sh", "-c", script], **_kebab(keys)}


def python(program: str, *arguments: str, **keys: Any) -> Table:
    """Workers that run a Python program given as text, which can import fleetd.worker."""
    return {**SOON, "command": [sys.executable, "-u", "-c", program, *arguments], **_kebab(keys)}


def program(name: str, *arguments: str, **keys: Any) -> Table:
    """Workers that run one of tests/support/programs."""
    interpreter = "python3" if name.endswith(".py") else "sh"
    return {**SOON, "command": [interpreter, str(PROGRAMS / name), *arguments], **_kebab(keys)}


def stubborn(directory: str, **keys: Any) -> Table:
    """Workers that heed no TERM: they end when there is a file `leave`, or `leave-PID`, in their directory."""
    script = "trap '' TERM INT; until [ -e leave ] || [ -e leave-$$ ]; do sleep 0.05; done"
    return shell(script, directory=directory, stop_timeout="60s", **keys)


def _kebab(keys: Table) -> Table:
    return {name.replace("_", "-"): value for name, value in keys.items()}
