"""Removing what is left of the trees of runs that are over, a moment later: the kernel takes its time."""

from __future__ import annotations

import asyncio

from fleetd.shell.tree import Trees

AFTER_SECONDS = 0.5


class Tidying:
    """Tries until nothing is left."""

    def __init__(self, loop: asyncio.AbstractEventLoop, trees: Trees) -> None:
        self._loop = loop
        self._trees = trees
        self._due: asyncio.TimerHandle | None = None

    def leave(self, run: str) -> None:
        """A run is over."""
        self._trees.forget(run)
        if self._due is None:
            self._due = self._loop.call_later(AFTER_SECONDS, self._tidy)

    def _tidy(self) -> None:
        self._due = None
        if self._trees.tidy():
            self._due = self._loop.call_later(AFTER_SECONDS, self._tidy)

    def close(self) -> None:
        """Try for the last time."""
        if self._due is not None:
            self._due.cancel()
            self._trees.tidy()
