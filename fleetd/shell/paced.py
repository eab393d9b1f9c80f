"""Doing what a signal asks for: at once, and no more often than is of use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

GAP = 0.05  # seconds


class Paced:
    """Work that may be asked for at any rate, as by signals: done at once, then at most once in `gap` seconds.

    What is asked for meanwhile is done once at the end of that time, so the last request is always followed by a deed.
    Without this a flood of signals takes the loop's time from everything else.
    """

    __slots__ = ("_again", "_gap", "_loop", "_timer", "_work")

    def __init__(self, work: Callable[[], object], loop: asyncio.AbstractEventLoop, gap: float = GAP) -> None:
        self._work = work
        self._loop = loop
        self._gap = gap
        self._timer: asyncio.TimerHandle | None = None
        self._again = False

    def __call__(self) -> None:
        """Ask for it; to be called on the loop."""
        if self._timer is None:
            self._do()
        else:
            self._again = True

    def _do(self) -> None:
        self._again = False
        self._timer = self._loop.call_later(self._gap, self._over)
        self._work()

    def _over(self) -> None:
        self._timer = None
        if self._again:
            self._do()
