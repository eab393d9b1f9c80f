"""Killing a daemon as an accident does, and what its processes are afterwards."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.fleetd_cli import Fleetd, kill
from tests.support.process_world import alive
from tests.support.waiting import wait_for


def kill_daemon(fleetd: Fleetd) -> int:
    """SIGKILL to the daemon; returns the pid that it had, once it is gone."""
    pid: int = fleetd.status()["pid"]
    kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid), "the killed daemon to be gone")
    return pid


def started_at(pid: int) -> int | None:
    """The start time of a live process, which with the pid tells it from all others; None when it is gone."""
    if not alive(pid):
        return None
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])  # field 22, proc(5)
    except (FileNotFoundError, ProcessLookupError):
        return None


def identities(pids: list[int]) -> set[tuple[int, int]]:
    """(pid, start time) of those that live."""
    return {(pid, started) for pid in pids if (started := started_at(pid)) is not None}


def keepers_of(fleetd: Fleetd) -> list[int]:
    """The pids of the instance's keepers: one, but for a moment after its death, or where its socket was removed.

    A child that one has just forked looks the same, until it is the worker.
    """
    keepers = {}
    for process in fleetd.processes():
        if "keeper/__main__" in " ".join(process.info["cmdline"]):
            with suppress(psutil.NoSuchProcess):
                keepers[process.pid] = process.ppid()
    return [pid for pid, parent in keepers.items() if parent not in keepers]


def keeper_of(fleetd: Fleetd) -> int:
    """The pid of the instance's keeper."""
    (keeper,) = keepers_of(fleetd)
    return keeper
