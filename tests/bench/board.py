"""The board: a mapped file in which every worker writes down when it was born and when it ended.

A birth costs one open and one mmap whoever starts the worker, and nobody has to read along.  The layout is that of
programs/board.h.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import time
from dataclasses import dataclass
from pathlib import Path

RECORD = struct.Struct("=qqqqi24s4x")  # as struct record
HEADER = RECORD.size
NANOSECONDS = 1_000_000_000
POLL = 0.001  # seconds; no figure depends on it, since workers stamp themselves


class OverdueError(Exception):
    """What was waited for did not happen in time."""


@dataclass(frozen=True, slots=True)
class Record:
    """One worker's life.  Times are CLOCK_MONOTONIC in ns, 0 where it has not happened."""

    born: int
    died: int
    written: int  # bytes of output
    finished: int  # when the last of it was written
    pid: int
    name: str


class Board:
    """All workers of one run, numbered by their birth."""

    def __init__(self, path: Path, capacity: int = 1 << 18) -> None:
        self.path = path
        self.killed: dict[int, int] = {}  # number: when it was sent SIGKILL, which leaves no stamp
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            os.ftruncate(descriptor, HEADER + capacity * RECORD.size)
            self._map = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)

    def __len__(self) -> int:
        """How many workers have begun to report."""
        return min(int.from_bytes(self._map[:8], "little"), (len(self._map) - HEADER) // RECORD.size)

    def __getitem__(self, number: int) -> Record:
        fields = RECORD.unpack_from(self._map, HEADER + number * RECORD.size)
        return Record(*fields[:5], name=fields[5].rstrip(b"\0").decode())

    def close(self) -> None:
        """Let go of the mapping."""
        self._map.close()

    def wait_for_births(self, count: int, within: float, *, poll: float = POLL) -> list[Record]:
        """The first `count` records, once all of them are born; raises OverdueError after `within` seconds."""
        deadline = time.monotonic() + within
        born = 0
        while born < count:
            if born < len(self) and self._born(born):
                born += 1
                continue
            if time.monotonic() > deadline:
                raise OverdueError(f"{born} of {count} workers had started after {within:g} s")
            time.sleep(poll)
        return [self[number] for number in range(count)]

    def living(self) -> list[int]:
        """The numbers of those that were born, have not said that they end, and were not killed."""
        return [
            number
            for number in range(len(self))
            if number not in self.killed and self[number].born and not self[number].died
        ]

    def kill(self, number: int, program: Path, signal_number: int = signal.SIGKILL) -> int:
        """Send a signal to a living worker and return when (ns); raises ProcessLookupError if it is no more."""
        pid = self[number].pid
        if not is_running(pid, program):
            raise ProcessLookupError(f"worker {number}, pid {pid}, is gone")
        at = time.monotonic_ns()
        os.kill(pid, signal_number)
        if signal_number == signal.SIGKILL:
            self.killed[number] = at
        return at

    def ended(self, number: int) -> int:
        """When a worker ended, as far as the board knows; 0: it lives."""
        return self.killed.get(number) or self[number].died

    def _born(self, number: int) -> int:
        start = HEADER + number * RECORD.size
        return int.from_bytes(self._map[start : start + 8], "little")


def fewest_alive(board: Board, since: int) -> int:
    """The smallest number of workers that lived at the same time, from `since` (ns) on."""
    changes = sorted(
        change
        for number in range(len(board))
        for change in ((board[number].born, 1), (board.ended(number), -1))
        if change[0]
    )
    alive = sum(step for at, step in changes if at <= since)
    fewest = alive
    for at, step in changes:
        if at > since:
            alive += step
            fewest = min(fewest, alive)
    return fewest


def is_running(pid: int, program: Path) -> bool:
    """Whether `pid` is a process that runs this program."""
    try:
        return Path(f"/proc/{pid}/exe").readlink() == program
    except OSError:
        return False
