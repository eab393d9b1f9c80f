"""A worker's output for one who looks at that worker alone: where it is, and each line once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

_STAMP = len("2026-11-23T21:14:05.123+00:00")


def readable_log(path: str | None) -> Path | None:
    """The log file, None where there is none or this user may not read it."""
    return None if path is None or not os.access(path, os.R_OK) else Path(path)


def of_worker(worker: str, text: str) -> str:
    """A line of a log file; of the time and name that fleetd has put before it, the time of day here."""
    stamp, name = text[:_STAMP], text[_STAMP:].partition(f" {worker} ")
    if name[0] or not name[1]:
        return text
    try:
        return f"{datetime.fromisoformat(stamp).astimezone():%H:%M:%S} {name[2]}"
    except ValueError:
        return text


class Overlap:
    """What of some last lines was shown already: those with which they begin, and which were shown last."""

    def __init__(self, remembered: int) -> None:
        self._shown: deque[str] = deque(maxlen=remembered)

    def went_on(self, line: str) -> Iterator[str]:
        """It came after all that was shown."""
        self._shown.append(line)
        yield line

    def new(self, lines: Iterable[str]) -> Iterator[str]:
        """Those that are new; they count as shown."""
        told, shown = list(lines), list(self._shown)
        known = next((n for n in range(min(len(told), len(shown)), 0, -1) if shown[-n:] == told[:n]), 0)
        for line in told[known:]:
            yield from self.went_on(line)
