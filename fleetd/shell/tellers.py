"""The processes of a run that told of a job's start: whether they still are.

A worker may have children, each with a job (Celery, huey).  One that is killed tells of no end, and its worker goes on.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Tellers:
    """Watches processes by pidfd.  Most runs have none that told: without one, this takes no descriptor."""

    def __init__(self, most: int) -> None:
        """Of more than `most` at a time the others are not watched."""
        self._most = most
        self._epoll: select.epoll | None = None
        self._watched: dict[int, int] = {}  # descriptors by pid

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What is readable while one is gone that was not forgotten; none as long as none is watched."""
        return () if self._epoll is None else (self._epoll.fileno(),)

    def watch(self, pid: int) -> bool:
        """See to it that `gone` tells of it; answers whether it will."""
        if pid not in self._watched and len(self._watched) < self._most:
            with suppress(OSError):  # no descriptor is left
                self._add(pid)
        return pid in self._watched

    def _add(self, pid: int) -> None:
        self._epoll = self._epoll or select.epoll()
        descriptor = _readable_when_gone(pid)
        try:
            self._epoll.register(descriptor, select.EPOLLIN)
        except OSError:  # no memory, or the user has too many watches
            os.close(descriptor)
            raise
        self._watched[pid] = descriptor

    def gone(self) -> list[int]:
        """Those that have ended."""
        ended = set() if self._epoll is None else {descriptor for descriptor, _ in self._epoll.poll(0)}
        return [pid for pid, descriptor in self._watched.items() if descriptor in ended]

    def forget(self, pid: int) -> None:
        """Watch it no more."""
        os.close(self._watched.pop(pid))

    def close(self) -> None:
        """Watch none any more."""
        for pid in list(self._watched):
            self.forget(pid)
        if self._epoll is not None:
            self._epoll.close()


def _readable_when_gone(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return os.eventfd(1)  # it is gone already: readable at once
