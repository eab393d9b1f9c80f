"""The daemon's end of the socket to its keeper (protocol in `fleetd.keeper`)."""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from fleetd import keeper
from fleetd.errors import FleetdError
from fleetd.shell.documents import encode
from fleetd.shell.spawn_request import SpawnRequest

HELLO_SECONDS = 10.0
END_SECONDS = 1.0
NO_ANSWER = "the keeper does not answer: see keeper.log in the runtime directory"
_FULL = {errno.EAGAIN, errno.ETOOMANYREFS}  # in bytes; in descriptors that its reader has not taken yet (unix(7))
PROGRAM = Path(keeper.__file__).with_name("__main__.py")

Json = dict[str, Any]


class LinkLostError(FleetdError):
    """The keeper hung up."""


class KeeperLink:
    """One connection: packets of JSON with descriptors beside them."""

    def __init__(self, connection: socket.socket, pid: int | None) -> None:
        self._connection = connection
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        self.pid = pid  # None: an older keeper, that will say so in its hello
        self._is_new = pid is not None
        self.takes_ends = False  # a run's pipe and socket may come with the request: not to an older keeper

    @classmethod
    def reach(cls, path: Path, instance: str) -> KeeperLink:
        """Connect to the instance's keeper, or start one; it is not waited for.

        Raises:
            FleetdError: there is one, and it takes no connection.
            OSError: there is none, and none can be started.

        """
        return cls.find(path) or cls.start(path, instance, resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    @classmethod
    def find(cls, path: Path) -> KeeperLink | None:
        """Connect to the keeper that listens at `path`; None where there is none.

        Raises:
            FleetdError: it takes no connection: it is stopped, and those before us wait.

        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)  # noqa: FBT003 - positional only; else connect(2) waits for a place for ever
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        except BlockingIOError:
            connection.close()
            raise FleetdError(NO_ANSWER) from None
        except OSError:
            connection.close()
            raise
        return cls(connection, None)

    @classmethod
    def start(cls, path: Path, instance: str, soft_nofile: int) -> KeeperLink:
        """Start a keeper that outlives this process, with `path` as its socket and its own log beside it.

        Raises:
            OSError: the socket cannot be made, or the process cannot be started.

        """
        path.unlink(missing_ok=True)
        log = os.open(
            path.with_suffix(".log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            try:
                before = os.umask(0o177)
                try:
                    listener.bind(str(path))
                finally:
                    os.umask(before)
                listener.listen(8)
                listener.set_inheritable(True)
                arguments = [
                    sys.executable,
                    "-I",
                    "-S",
                    str(PROGRAM),
                    str(listener.fileno()),
                    instance,
                    str(soft_nofile),
                ]
                pid = os.posix_spawn(
                    sys.executable,
                    arguments,
                    os.environ,
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_DUP2, log, 2),
                    ],
                    setsid=True,
                    setsigmask=(),
                )
            finally:
                os.close(log)
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.connect(str(path))
        return cls(connection, pid)

    def hello(self) -> list[tuple[Json, list[int]]]:
        """Introduce the daemon, once, before anything else; what the keeper holds, with the descriptors.

        Raises:
            FleetdError: it does not answer, is in other hands, or speaks another protocol.

        """
        self._connection.settimeout(HELLO_SECONDS)
        try:
            with suppress(ConnectionError):  # one that refuses has hung up, and has said so before
                self._connection.send(b'{"verb": "hello"}')
            answer, _ = self._receive()
            self.take_hello(answer)
            return [self._receive() for _ in range(answer["runs"])]
        except TimeoutError as error:
            raise FleetdError(NO_ANSWER) from error
        finally:
            self._connection.settimeout(0)

    def introduce(self) -> None:
        """The same to a keeper that was just started, of which there is nothing to learn: its answer is a report."""
        self._connection.settimeout(0)
        self.takes_ends = True
        self.request({"verb": "hello"}, [])

    def take_hello(self, answer: Json) -> None:
        """Learn from the answer what the keeper is like.

        Raises:
            FleetdError: it is in other hands, or speaks another protocol.

        """
        if answer["event"] == "refused":
            raise FleetdError("another daemon is connected to the keeper of this instance: stop it first")
        if answer.get("protocol") != keeper.PROTOCOL:
            raise FleetdError(
                f"the keeper (pid {answer['pid']}) speaks protocol {answer['protocol']}, not {keeper.PROTOCOL}: "
                "stop its workers with the version that started it"
            )
        self.pid = answer["pid"]
        self.takes_ends = set(keeper.ENDS) <= set(answer.get("takes", ()))

    def fileno(self) -> int:
        """The connection's descriptor."""
        return self._connection.fileno()

    def reports(self) -> list[tuple[Json, list[int]]]:
        """All that has arrived.

        Raises:
            LinkLostError: the keeper hung up, and everything that it had said was returned before.

        """
        arrived: list[tuple[Json, list[int]]] = []
        while True:
            try:
                arrived.append(self._receive())
            except BlockingIOError:
                return arrived
            except LinkLostError:
                if arrived:
                    return arrived
                raise

    def _receive(self) -> tuple[Json, list[int]]:
        space = socket.CMSG_SPACE(keeper.MOST_FDS * 4)
        take = partial(self._connection.recvmsg, keeper.PACKET_BYTES, space, socket.MSG_CMSG_CLOEXEC)
        try:
            body, ancillary, flags, _ = take()
        except ConnectionResetError:  # it hung up with requests unread, which is told once, before what it had said
            body, ancillary, flags, _ = take()
        if not body:
            raise LinkLostError("the keeper hung up")
        fds: list[int] = []
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.extend(struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4]))
        if flags & socket.MSG_TRUNC:
            for descriptor in fds:
                os.close(descriptor)
            return {"event": "too large"}, []
        return json.loads(body), fds

    def request(self, body: Json | SpawnRequest, fds: list[int]) -> bool:
        """Send, or keep for `flush`, with copies of the descriptors; whether everything is sent."""
        data, own = _packet(body)
        if self.flush() and self._send(data, [*own, *fds]):
            for descriptor in own:
                os.close(descriptor)
            return True
        self._unsent.append((data, [*own, *map(os.dup, fds)]))
        return False

    def flush(self) -> bool:
        """Send what the keeper takes now; whether everything is sent."""
        while self._unsent:
            if not self._send(*self._unsent[0]):
                return False
            self._drop_first()
        return True

    def _send(self, data: bytes, fds: list[int]) -> bool:
        """Whether the keeper took it; one that has hung up took all, as the reading side will say so."""
        try:
            socket.send_fds(self._connection, [data], fds)
        except ConnectionError:
            pass
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return False
        return True

    def _drop_first(self) -> None:
        for descriptor in self._unsent.popleft()[1]:
            os.close(descriptor)

    def send_rest(self) -> None:
        """Send what is left to be sent, at most for a second."""
        self._connection.settimeout(END_SECONDS)
        with suppress(OSError):
            self.flush()

    def wait_for_end(self) -> None:
        """Wait until a keeper that was told to quit has hung up, at most for a second."""
        self._connection.settimeout(END_SECONDS)
        with suppress(OSError, LinkLostError):
            self.flush()
            while True:
                self._receive()

    def kill(self) -> None:
        """End a keeper that was started here and does not answer: it must do nothing of what it was asked for."""
        if self._is_new and self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.close()

    def dismiss(self) -> None:
        """End a keeper that was started in vain: it holds nothing."""
        if self._is_new and self.pid is not None:
            with suppress(OSError):
                process = os.pidfd_open(self.pid)
                self._connection.send(b'{"verb": "quit"}')
                select.select([process], [], [], END_SECONDS)
                os.close(process)
        self.close()

    def close(self) -> None:
        """Hang up; what was not sent is dropped."""
        while self._unsent:
            self._drop_first()
        self._connection.close()


def _packet(body: Json | SpawnRequest) -> tuple[bytes, list[int]]:
    """A request as it goes, and the memfd with what is too large for a packet."""
    data = encode(body)
    if len(data) <= keeper.PACKET_BYTES:
        return data, []
    memfd = os.memfd_create("request")
    with open(memfd, "wb", closefd=False) as file:
        file.write(data)
    large: Json = {"verb": "spawn", "run": body.run} if isinstance(body, SpawnRequest) else {"verb": body["verb"]}
    return encode(large | {"in_memfd": True}), [memfd]
