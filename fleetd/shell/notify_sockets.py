"""The notify sockets of all runs: when they are read, and that nobody who floods one keeps the others waiting."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable

from fleetd.shell.notify import NotifySocket, bound_again, is_heard

RUNS_AT_ONCE = 64  # that are heard before the loop may do something else

_log = logging.getLogger("fleetd")


class NotifySockets:
    """One epoll for all of them: a reader of the loop's own takes a kilobyte a run.

    `hear` is called with each that has messages, or one of whose processes has ended, and `heard` after a number of
    them.  Then none is read until `listen_again`: else floods would fill the inbox faster than it is emptied, and no
    sender would ever be told that what it said is safe.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, hear: Callable[[NotifySocket], None], heard: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._hear, self._heard = hear, heard
        self._epoll = select.epoll()
        self._sockets: dict[int, NotifySocket] = {}
        self._is_listening = False
        self.listen_again()

    def add(self, one: NotifySocket) -> None:
        """Hear it, until `remove`."""
        for descriptor in one.descriptors:
            if descriptor not in self._sockets:
                self._sockets[descriptor] = one
                self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, one: NotifySocket) -> None:
        """Hear it no more; it must still be open."""
        for descriptor in one.descriptors:
            if self._sockets.pop(descriptor, None) is not None:
                self._epoll.unregister(descriptor)

    def restore(self, one: NotifySocket, path: str, uid: int) -> None:
        """Bind another socket at the `path` of a worker of the user `uid`, if its own was removed, and hear both."""
        if is_heard(path):
            return
        descriptor = bound_again(path, uid)
        if descriptor is None:
            _log.error("%s was removed and cannot be made again: its worker is not heard any more", path)
            return
        self._hear(one)  # another one that stood there may go
        self.remove(one)
        one.hear_also(socket.socket(fileno=descriptor))
        self.add(one)

    def listen_again(self) -> None:
        """Hear what comes, until there is something; not before what was heard has been decided about."""
        if not self._is_listening and not self._epoll.closed:
            self._is_listening = True
            self._loop.add_reader(self._epoll.fileno(), self._hear_who_speaks)

    def _hear_who_speaks(self) -> None:
        self._is_listening = False
        self._loop.remove_reader(self._epoll.fileno())
        for descriptor, _ in self._epoll.poll(0, RUNS_AT_ONCE):
            one = self._sockets[descriptor]
            try:
                self._hear(one)
                self.add(one)  # what it waits on now, too
            except Exception as defect:  # noqa: BLE001 - of one of them: the others are to be heard all the same
                told = {"message": "a notify socket failed unexpectedly", "exception": defect}
                self._loop.call_exception_handler(told)
        self._heard()

    def close(self) -> None:
        """Hear nobody any more, and let go of those that are left."""
        for one in set(self._sockets.values()):
            one.close()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
