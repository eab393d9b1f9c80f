"""Collecting children that nobody else waits for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


class Reaper:
    """Collects what nobody else waits for: the keeper, and as PID 1 of a container every orphan.

    waitpid(-1) takes all: who starts a child asks here for its status, in the step in which it is started.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._awaited: dict[int, asyncio.Future[int]] = {}
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        self.reap()

    def reap(self) -> None:
        """Wait for all children that have ended."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                waiting = self._awaited.pop(ended[0], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(ended[1])

    def status_of(self, pid: int) -> asyncio.Future[int]:
        """The status of a child that was started just now, once it has ended."""
        return self._awaited.setdefault(pid, self._loop.create_future())

    def close(self) -> None:
        """Leave SIGCHLD as it was."""
        self._loop.remove_signal_handler(signal.SIGCHLD)
