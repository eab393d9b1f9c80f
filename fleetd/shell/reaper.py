"""Collecting children that nobody else waits for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


class Reaper:
    """Collects what nobody else waits for: the keeper, and as PID 1 of a container every orphan.

    Only for a daemon that starts no other children: waitpid(-1) takes all.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        self.reap()

    @staticmethod
    def reap() -> None:
        """Wait for all children that have ended."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def close(self) -> None:
        """Leave SIGCHLD as it was."""
        self._loop.remove_signal_handler(signal.SIGCHLD)
