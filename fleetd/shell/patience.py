"""How long a reader that takes nothing more is waited for before output for it is dropped."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

STUCK = 5.0  # seconds


class Patience:
    """Watches one descriptor while it refuses: whoever writes there pauses until it takes more, or is stuck.

    Costs nothing while nothing is refused.  `on_change` is called when those who paused should try again.
    """

    def __init__(self, name: str, on_change: Callable[[], None]) -> None:
        self._name = name
        self._on_change = on_change
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched = -1
        self._limit: asyncio.TimerHandle | None = None
        self.is_stuck = False

    @property
    def is_waiting(self) -> bool:
        """Whether there is no sense in writing now."""
        return self._watched >= 0

    def refused(self, fd: int) -> None:
        """Nothing was taken: wait for that.  Raises OSError when that was waited for long enough."""
        if self.is_stuck:
            raise OSError(errno.ETIMEDOUT, f"nobody reads {self._name}")
        if not self.is_waiting:
            self._loop = asyncio.get_running_loop()
            self._loop.add_writer(fd, self._takes_more)
            self._watched = fd
            self._limit = self._limit or self._loop.call_later(STUCK, self._give_up)

    def taken(self) -> None:
        """Something was taken: who is slow is not stuck."""
        self.is_stuck = False
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def close(self) -> None:
        """Wait no more."""
        self._unwatch()
        self.taken()

    def _takes_more(self) -> None:
        self._unwatch()
        self._on_change()

    def _give_up(self) -> None:
        self._limit = None
        self.is_stuck = True
        self._unwatch()
        self._on_change()

    def _unwatch(self) -> None:
        if self._watched >= 0:
            assert self._loop is not None
            self._loop.remove_writer(self._watched)
            self._watched = -1
