"""Counting how often a process wakes up (promise P8)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.waiting import wait_for


def voluntary_switches(pid: int) -> int:
    """How often a process has gone to sleep (proc(5)), all its threads together."""
    return sum(
        int(line.split()[1])
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def settle(pids: list[int]) -> None:
    """Waits until nothing has happened for a second."""
    seen: list[int] = []

    def is_quiet() -> bool:
        nonlocal seen
        last, seen = seen, [voluntary_switches(pid) for pid in pids]
        return last == seen

    wait_for(is_quiet, "the daemon and its keeper to come to rest", within=10, every=1)


def wait_in_another_process(seconds: float) -> None:
    """The time that is measured."""
    subprocess.run(["sleep", str(seconds)], check=True)
