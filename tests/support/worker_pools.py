"""Pools of tiny workers, as tables of a pool file."""

from __future__ import annotations

import sys
from typing import Any

from tests.support.process_world import PROGRAMS

Table = dict[str, Any]

SOON: Table = {"healthy-after": "100ms"}
TELLS = "tells-when-ready"  # a framework that is in the pool file wherever a pool names it
FRAMEWORKS: Table = {TELLS: {"patterns": [{"meaning": "ready", "literal": "ready", "regex": "^ready$"}]}}
NOT_SOON = "30s"  # healthy-after of workers that end by themselves: they never count as healthy, however slow they are
SLEEPING: Table = {**SOON, "command": ["sleep", "1000"]}


def shell(script: str, **keys: Any) -> Table:
    """Workers that run a shell script; keys are spelled with underscores."""
    return {**SOON, "command": ["sh", "-c", script], **_kebab(keys)}


def ready_shell(script: str, **keys: Any) -> Table:
    """The same with a script that says `ready` in a line of its own: then it has its traps, or has not failed.

    By age a worker may count as healthy before a busy machine has run the first of its commands.
    """
    return {"framework": TELLS, "healthy-after": 0, "command": ["sh", "-c", script], **_kebab(keys)}


def failing(script: str, **keys: Any) -> Table:
    """Workers that run a shell script which fails, and are never healthy, however long they take to do so."""
    return shell(script, healthy_after=NOT_SOON, **keys)


def python(program: str, *arguments: str, **keys: Any) -> Table:
    """Workers that run a Python program given as text, which can import fleetd.worker."""
    return {**SOON, "command": [sys.executable, "-u", "-c", program, *arguments], **_kebab(keys)}


def program(name: str, *arguments: str, **keys: Any) -> Table:
    """Workers that run one of tests/support/programs."""
    interpreter = "python3" if name.endswith(".py") else "sh"
    return {**SOON, "command": [interpreter, str(PROGRAMS / name), *arguments], **_kebab(keys)}


def stubborn(directory: str, **keys: Any) -> Table:
    """Workers that heed no TERM: they end when there is a file `leave`, or `leave-PID`, in their directory."""
    script = "trap '' TERM INT; echo ready; until [ -e leave ] || [ -e leave-$$ ]; do sleep 0.05; done"
    return ready_shell(script, directory=directory, stop_timeout="60s", **keys)


def _kebab(keys: Table) -> Table:
    return {name.replace("_", "-"): value for name, value in keys.items()}
