"""The daemon's side of a notify socket, for workers that tell of their jobs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fleetd.core.events import Event, JobReported
from fleetd.core.spec import LineMeaning
from fleetd.keeper.ends import notify_socket
from fleetd.shell.notify import NotifySocket


def bound(
    path: Path,
    uid: int | None = None,
    *,
    seen: Mapping[str, int] | None = None,
    processes: Iterable[int] = (),
    on_refused: Callable[[str], None] = lambda _: None,
) -> NotifySocket:
    """The socket of the run r1 at `path`, for a worker of this user."""
    uid = os.geteuid() if uid is None else uid
    receiver = socket.socket(fileno=notify_socket(str(path), uid))
    return NotifySocket(receiver, "r1", frozenset({uid}), seen=seen, processes=processes, on_refused=on_refused)


class Daemon:
    """The receiving side: takes, writes down, acknowledges; may die and come back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self.written: dict[str, int] = {}
        self.senders: set[str] = set()  # all that were ever written down
        self.socket: NotifySocket | None = None

    def start(self) -> None:
        self.socket = bound(self.path, seen=self.written)

    def die(self) -> None:
        """As by SIGKILL: what is in the socket is lost, what was not written down too."""
        assert self.socket is not None
        self.socket.close()
        self.socket = None

    def work(self) -> list[Event]:
        assert self.socket is not None
        self.events += self.socket.receive()
        self.written = dict(self.socket.seen)
        self.senders |= self.written.keys()
        self.socket.acknowledge()
        return self.events

    def jobs(self, meaning: LineMeaning) -> list[str | None]:
        return [e.name for e in self.work() if isinstance(e, JobReported) and e.meaning is meaning]
