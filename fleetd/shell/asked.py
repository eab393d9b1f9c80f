"""A run that the keeper was asked for, and has not answered yet.

Its pipe and its socket are ours: so what a worker wrote and said is not lost when the keeper is killed before it could
tell that the worker lives, or lived.
"""

from __future__ import annotations

import asyncio
import os
import select
from contextlib import suppress
from pathlib import Path

from fleetd.keeper import ENDS, WRITER
from fleetd.keeper.ends import notify_socket, output_pipe
from fleetd.shell.spawn_request import SpawnRequest


class Asked:
    """What is known of it; `request` is None where an earlier daemon asked."""

    def __init__(self, request: SpawnRequest | None, *, again: bool = False) -> None:
        self.request = request
        self.again = again  # of a second keeper
        self.is_born = False  # it has a process, which is not yet what was asked for
        self.is_sought = False  # its keeper was lost
        self.settled = asyncio.Event()  # it has a process, or never will
        self.own: dict[str, int] = {}  # descriptors

    @property
    def is_with_the_keeper(self) -> bool:
        """Whether the keeper itself may be where the run is to be born."""
        return self.request is not None and self.request.preload is None and not self.is_born

    def open(self) -> tuple[tuple[str, ...], list[int]]:
        """Make its pipe and its socket, for the keeper: names and descriptors; the `WRITER` is to be closed.

        Raises:
            StartError: the system refuses.

        """
        assert self.request is not None
        uid, path = self.request.uid, self.request.notify
        if path is not None:
            self.own["notify"] = notify_socket(path, uid)
        self.own["output"], writer = output_pipe(uid)
        ends = {**self.own, WRITER: writer}
        names = tuple(name for name in ENDS if name in ends)
        return names, [ends[name] for name in names]

    def was_heard_of(self) -> bool:
        """Whether a process has written or said something, so that it lived."""
        poll = select.poll()
        for descriptor in self.own.values():
            poll.register(descriptor, select.POLLIN)
        return any(events & select.POLLIN for _, events in poll.poll(0))

    def birth(self) -> None:
        """It has a process."""
        self.is_born = True
        self.settled.set()

    def taken(self) -> dict[str, int]:
        """Its descriptors, which are the caller's from now on."""
        own, self.own = self.own, {}
        return own

    def close(self) -> None:
        """Let go of its descriptors."""
        self.settled.set()
        for descriptor in self.taken().values():
            os.close(descriptor)

    def give_up(self) -> None:
        """The same, and of the socket's name: nobody will speak to it."""
        self.close()
        if self.request is not None and self.request.notify is not None:
            with suppress(OSError):
                Path(self.request.notify).unlink()
