"""The daemon's side of sd_notify(3): it tells the service manager that started it where it stands.

Without NOTIFY_SOCKET all of this does nothing: no socket, no timer.  A message that cannot be sent hurts nobody, and
nothing here waits.  The variables stay in the environment, for a daemon that replaces itself by execv; workers never
see them (`launch.PRIVATE`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fleetd.errors import FleetdError

if TYPE_CHECKING:
    from fleetd.core.spec import Seconds
    from fleetd.core.state import State

LOOK_EVERY = 1.0  # seconds between two status texts, at least
PING_EVERY = 0.05  # seconds between two pings, at least: half of a watchdog's time may be next to nothing
RETRY_AFTER = 5.0  # seconds until something is sent again for which the manager had no room
EXTEND_EVERY = 10.0  # seconds between two requests for more time, while starting and while draining
EXTEND_BY = 30.0  # seconds for which each of them asks: a daemon that hangs is not waited for longer
START_WITHIN = 600.0  # seconds for which a start asks for more time: the runs to take over are finite

_DIGITS = 19  # of a 64-bit number
_NO_ROOM = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})


class ServiceManager:
    """Who started this daemon, if it wants to be told.

    Between `starting` and `close` there is a running loop.  `consider` is for the end of each turn, and cheap.
    """

    def __init__(self, state: State, address: str | None, watchdog: Seconds | None = None) -> None:
        self._state = state
        self._address = address
        self._watchdog = watchdog
        self._socket: socket.socket | None = None
        self._owed: list[str] = []  # what must arrive and did not, in order
        self._text: str | None = None  # the status that the manager has
        self._note: str | None = None
        self._looked_at = 0.0
        self._reloads = 0
        self._is_stopping = False
        self._ends_by = 0.0  # until when more time is asked for
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], state: State) -> ServiceManager:
        """As NOTIFY_SOCKET and WATCHDOG_USEC say.

        WATCHDOG_PID is not looked at: it names the first main process, which may have been another.
        """
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls(state, None)
        usec = environ.get("WATCHDOG_USEC", "")
        is_number = usec.isascii() and usec.isdecimal() and len(usec) <= _DIGITS
        watchdog = int(usec) / 1e6 if is_number else 0.0
        if address[0] == "@":  # an abstract one
            address = f"\0{address[1:]}"
        return cls(state, address, watchdog or None)

    # -- what happens to the daemon ----------------------------------------------------------------------------------

    def starting(self) -> None:
        """The loop runs: from now on a hang is noticed, and a start that has much to take over gets time for it."""
        if self._address is None:
            return
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._ends_by = self._loop.time() + START_WITHIN
        if self._watchdog is not None:
            self._ping()
        self._extend()

    def ready(self) -> None:
        """Say READY=1: the start is over, or what `reloading` began.

        Ready means: commands are taken, what an earlier daemon left is supervised, and every worker that may start is
        ordered.  Whether workers are healthy is not waited for.  A manager would take a pool that crashes for a failed
        service, kill the pools that work and try again; and units ordered after this one would wait for the slowest
        import.  `fleetd health --ready` is for those who want to know.
        """
        self._reloads = max(0, self._reloads - 1)
        if self._socket is None or self._is_stopping or self._reloads:
            return
        self._cancel(self._extend)
        self._text = self._line()
        self._must_tell("READY=1", f"MAINPID={os.getpid()}", f"STATUS={self._text}")

    def reloading(self, why: str = "reloading") -> None:
        """Say RELOADING=1; `ready` follows, from this process or from the one that takes its place by execv."""
        self._reloads += 1
        if self._socket is None or self._is_stopping:
            return
        self._text = why
        self._must_tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", f"STATUS={why}")

    @contextmanager
    def reload(self) -> Generator[None]:
        """Around a reload: a manager that asked for it waits until it is over, whatever becomes of it.

        What is wrong with the pool files stays in the status until they are right.
        """
        self.reloading()
        try:
            yield
        except FleetdError as error:
            self._note = f"the last reload changed nothing: {str(error).splitlines()[0]}"
            raise
        else:
            self._note = None
        finally:
            self.ready()

    def consider(self) -> None:
        """The core has decided something: tell what is new, now or within LOOK_EVERY seconds."""
        if self._socket is None:
            return
        if self._state.is_stopping and not self._is_stopping:
            self._stopping()
        elif not self._reloads and self._look not in self._timers:
            wait = self._looked_at + LOOK_EVERY - self._loop.time()
            if wait > 0:
                self._call_in(wait, self._look)
            else:
                self._look()

    def close(self) -> None:
        """The daemon ends."""
        if self._is_stopping and self._socket is not None:
            self._put(f"STATUS={self._line()}")
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # -- what is told ------------------------------------------------------------------------------------------------

    def _line(self) -> str:
        from fleetd.views.status_line import status_line  # noqa: PLC0415 - for a daemon that is asked for it alone

        self._looked_at = self._loop.time()
        return status_line(self._state, self._looked_at, self._note)

    def _look(self) -> None:
        self._cancel(self._look)
        text = self._line()
        if text != self._text:
            if self._put(f"STATUS={text}"):
                self._text = text
            else:
                self._call_in(RETRY_AFTER, self._look)

    def _stopping(self) -> None:
        self._is_stopping = True
        self._ends_by = self._ended_by()
        self._text = self._line()
        self._must_tell("STOPPING=1", f"STATUS={self._text}")
        self._extend()

    def _extend(self) -> None:
        """Ask for a little more time, and again before it is over, as long as there is something to wait for."""
        self._cancel(self._extend)
        now = self._loop.time()
        if self._is_stopping and self._state.runs:
            self._ends_by = self._ended_by()
        left = self._ends_by - now
        if left > 0:
            self._put(f"EXTEND_TIMEOUT_USEC={int(min(EXTEND_BY, left) * 1e6)}")
            self._call_in(EXTEND_EVERY, self._extend)
            self._look()

    def _ended_by(self) -> Seconds:
        """When the daemon ends at the latest, as things stand."""
        from fleetd.core.drain_time import END_MARGIN, drained_by  # noqa: PLC0415 - see above

        return drained_by(self._state, self._loop.time()) + END_MARGIN

    def _ping(self) -> None:
        """The one timer of the watchdog, on the loop, so that a loop that hangs is noticed."""
        assert self._watchdog is not None
        self._put("WATCHDOG=1")
        self._call_in(max(PING_EVERY, self._watchdog / 2), self._ping)

    # -- the socket --------------------------------------------------------------------------------------------------

    def _must_tell(self, *assignments: str) -> None:
        self._owed.append("\n".join(assignments))
        self._pay()

    def _pay(self) -> None:
        self._cancel(self._pay)
        while self._owed:
            if not self._put(self._owed[0]):
                self._call_in(RETRY_AFTER, self._pay)
                return
            del self._owed[0]

    def _put(self, message: str) -> bool:
        """Send a message; False if there was no room for it.  One that nobody can take is lost."""
        assert self._socket is not None
        assert self._address is not None
        try:
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError as error:
            return error.errno not in _NO_ROOM
        return True

    def _call_in(self, seconds: Seconds, action: Callable[[], None]) -> None:
        self._cancel(action)
        self._timers[action] = self._loop.call_later(seconds, action)

    def _cancel(self, action: Callable[[], None]) -> None:
        timer = self._timers.pop(action, None)
        if timer is not None:
            timer.cancel()
