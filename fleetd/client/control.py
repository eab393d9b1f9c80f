"""The command line's side of the control socket (the protocol: `fleetd.shell.control`).

Blocking, and of nothing but socket and json, because every command starts with it.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetd.errors import ExitCode, FleetdError, NotFoundError, UnreachableError, UsageError, WaitTimeoutError

Progress = Callable[[int, int, str], None]
Warn = Callable[[Sequence[str]], None]

_RAISED: Mapping[int, type[FleetdError]] = {
    ExitCode.INVALID: UsageError,
    ExitCode.NOT_FOUND: NotFoundError,
    ExitCode.UNREACHABLE: UnreachableError,
    ExitCode.TIMED_OUT: WaitTimeoutError,
}
_CHUNK = 64 * 1024
ANSWER_SECONDS = 10.0  # a daemon that only has to tell what it knows, and takes longer, hangs
_AGAIN = 0.05  # seconds between two attempts to connect


class HungUpError(FleetdError):
    """The daemon closed the connection without an answer."""


class ControlClient:
    """Asks the daemon of `instance` that listens at `path`; every question is a connection of its own."""

    __slots__ = ("instance", "path")

    def __init__(self, instance: str, path: Path) -> None:
        self.instance = instance
        self.path = path

    def call(
        self,
        verb: str,
        args: Mapping[str, Any] | None = None,
        on_progress: Progress | None = None,
        timeout: float | None = None,
        on_warnings: Warn | None = None,
    ) -> Any:
        """The daemon's answer to `verb`; meanwhile `on_progress(done, total, text)` is called for each step.

        `on_warnings(lines)` is called with what somebody should know before the work is done.

        Waits at most `timeout` seconds.  Raises what the daemon answered as the FleetdError of that exit code,
        NotFoundError when no daemon listens, WaitTimeoutError when the time is over.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            with self._connect(timeout) as connection:
                for kind, body in self._frames(connection, verb, args, deadline):
                    if kind == "result":
                        return body
                    if kind == "progress" and on_progress is not None:
                        on_progress(int(body["done"]), int(body["total"]), str(body["text"]))
                    if kind == "warnings" and on_warnings is not None:
                        on_warnings(body)
        except TimeoutError:
            raise _too_late(timeout) from None
        raise self._hung_up()

    def order(
        self,
        verb: str,
        args: Mapping[str, Any] | None = None,
        on_progress: Progress | None = None,
        timeout: float | None = None,
        on_warnings: Warn | None = None,
    ) -> Any:
        """As `call`, of a daemon that answers: one that hangs would carry it out later, when it has been given up.

        With a `timeout` of 0 nobody waits for an answer.  Raises as `call` and `ask` do.
        """
        if timeout == 0:
            return self.call(verb, args, on_progress, timeout, on_warnings)
        began = time.monotonic()
        self.ask("ping", timeout=timeout)
        took = round(time.monotonic() - began)  # whole seconds: what is left is told, should it not be enough
        return self.call(verb, args, on_progress, None if timeout is None else max(timeout - took, 0), on_warnings)

    def ask(self, verb: str, args: Mapping[str, Any] | None = None, timeout: float | None = None) -> Any:
        """What the daemon knows.

        Raises as `call` does, and WaitTimeoutError when it does not answer within `timeout` and ANSWER_SECONDS.
        """
        seconds = ANSWER_SECONDS if timeout is None else min(timeout, ANSWER_SECONDS)
        try:
            return self.call(verb, args, timeout=seconds)
        except WaitTimeoutError:
            raise WaitTimeoutError(
                f"the daemon of instance {self.instance!r} does not answer within {seconds:g} s: "
                f"it is stopped by a signal, or held up"
            ) from None

    def stream(self, verb: str, args: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """The items of `verb`, until the daemon says that there are no more.  Raises as `call` does."""
        with self._connect() as connection:
            for kind, body in self._frames(connection, verb, args):
                if kind == "result":
                    return
                if kind == "item":
                    yield body
        raise self._hung_up()

    def pid(self) -> int:
        """The process that listens, also where it takes no commands.

        Raises NotFoundError where none does, WaitTimeoutError when it takes no connection within ANSWER_SECONDS.
        """
        with self._connect(ANSWER_SECONDS) as connection:
            pid: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return pid

    def until_gone(self, timeout: float | None = None) -> Callable[[], None]:
        """A function that waits for the daemon that runs now to have ended.

        It raises WaitTimeoutError when that takes longer than `timeout` seconds from now on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            process = os.pidfd_open(self.pid())
        except ProcessLookupError:
            return lambda: None

        def wait() -> None:
            seconds = None if deadline is None else max(deadline - time.monotonic(), 0)
            ended, _, _ = select.select([process], [], [], seconds)
            os.close(process)
            if not ended:
                raise _too_late(timeout)

        return wait

    def _connect(self, timeout: float | None = None) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if timeout is None:
                connection.connect(str(self.path))
            else:
                self._connect_within(timeout, connection)
        except WaitTimeoutError:
            connection.close()
            raise
        except PermissionError:
            connection.close()
            raise FleetdError(
                f"not permitted to command instance {self.instance!r}: be root, its user, or in its socket-group"
            ) from None
        except OSError:
            connection.close()
            raise NotFoundError(
                f"no daemon of instance {self.instance!r} answers at {self.path}: start it with `fleetd start -c FILE`"
            ) from None
        return connection

    def _connect_within(self, timeout: float, connection: socket.socket) -> None:
        deadline = time.monotonic() + timeout
        connection.settimeout(0)
        while True:
            try:
                connection.connect(str(self.path))
            except BlockingIOError:  # it hangs, and as many as may wait for it do: there is no event for a free place
                if time.monotonic() >= deadline:
                    raise WaitTimeoutError(f"the daemon takes no connection within {timeout:g} s") from None
                time.sleep(_AGAIN)
            else:
                connection.settimeout(None)
                return

    def _frames(
        self, connection: socket.socket, verb: str, args: Mapping[str, Any] | None, deadline: float | None = None
    ) -> Iterator[tuple[str, Any]]:
        """The answer's frames as (kind, body); an error frame is raised, and TimeoutError after `deadline`."""
        request = json.dumps({"verb": verb, "args": dict(args or {})}, separators=(",", ":")).encode() + b"\n"
        try:
            if deadline is not None:  # it is sent in any case: a time that is over is that of the work
                connection.settimeout(max(deadline - time.monotonic(), _AGAIN))
            with suppress(BrokenPipeError):  # refused before it was read: the answer says why
                connection.sendall(request)
            for line in _lines(connection, deadline):
                ((kind, body),) = json.loads(line).items()
                if kind == "error":
                    raise raised(body)
                yield kind, body
        except ConnectionError:
            raise self._hung_up() from None

    def _hung_up(self) -> HungUpError:
        return HungUpError(f"the daemon of instance {self.instance!r} hung up without an answer: see its log")


def raised(body: Mapping[str, Any]) -> FleetdError:
    """The error that the daemon answered with."""
    return _RAISED.get(body["code"], FleetdError)(body["message"])


def _too_late(timeout: float | None) -> WaitTimeoutError:
    return WaitTimeoutError(f"not finished after {timeout:g} s; the work itself goes on")


def _allow(connection: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        return
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    connection.settimeout(remaining)


def _lines(connection: socket.socket, deadline: float | None) -> Iterator[bytes]:
    held = bytearray()
    while True:
        _allow(connection, deadline)
        chunk = connection.recv(_CHUNK)
        if not chunk:
            return
        first, newline, rest = chunk.partition(b"\n")
        held += first
        while newline:
            yield bytes(held)
            held.clear()
            first, newline, rest = rest.partition(b"\n")
            held += first
