"""What a worker tells over its notify socket: sd_notify messages, and job messages that are counted once.

One datagram socket a run; a message holds lines FIELD=VALUE (sd_notify(3)), and unknown fields are ignored.

`fleetd.worker` numbers what must not be lost: X_FLEETD_SENDER is the random name of a sending process, X_FLEETD_SEQ
counts its messages from 1.  Only the number after the last one is taken; a lower one was taken before, a higher one
means that some were lost with an earlier daemon.  Every such message is answered, to the address it came from, by
X_FLEETD_SENDER and X_FLEETD_ACK, the last number taken; the sender keeps what is not acknowledged and sends it again.
The answer goes out when the caller says that what it got is written down, so a daemon may die at any instant.
"""

from __future__ import annotations

import array
import math
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from fleetd.core.events import (
    AskedForTime,
    Event,
    JobReported,
    ProcessGone,
    RunId,
    SaidAlive,
    SaidReady,
    SaidStatus,
    SaidStopping,
    Source,
)
from fleetd.core.moments import moment
from fleetd.core.spec import LineMeaning
from fleetd.keeper.ends import notify_socket
from fleetd.keeper.failure import StartError
from fleetd.shell.tellers import Tellers

LONGEST_MESSAGE = 8192
LONGEST_TEXT = 255
MOST_AT_ONCE = 256  # messages that one `receive` takes, so that a flooding worker cannot hold the daemon
MOST_AT_THE_END = 4096  # messages that are taken of a run that is over: beyond any usual net.unix.max_dgram_qlen
MOST_SENDERS = 512  # of one run that are remembered when their answers are sent; those that spoke last
MOST_TELLERS = 64  # processes of one run that are watched at a time

_MOST_FDS = 253  # SCM_MAX_FD: a message cannot carry more
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_MOST_FDS * 4)
_OF_THE_OUTPUT = (LineMeaning.READY, LineMeaning.UNHEARD)
_JOB_MEANINGS = {meaning.value: meaning for meaning in LineMeaning if meaning not in _OF_THE_OUTPUT}


def parse(run: RunId, message: bytes, process: int | None = None) -> list[Event]:
    """The events that a message of a run means, in the order of sd_notify(3)'s fields; [] if it means nothing here.

    `process` is the pid that tells, if its end will be told.
    """
    fields = read_fields(message)
    events: list[Event] = []
    if fields.get("READY") == "1":
        events.append(SaidReady(run, Source.SOCKET))
    if "STATUS" in fields:
        events.append(SaidStatus(run, _safe(fields["STATUS"])))
    if fields.get("STOPPING") == "1":
        events.append(SaidStopping(run))
    if fields.get("WATCHDOG") == "1":
        events.append(SaidAlive(run))
    extend = _number(fields.get("EXTEND_TIMEOUT_USEC"))
    if extend is not None:
        events.append(AskedForTime(run, extend / 1_000_000))
    meaning = _JOB_MEANINGS.get(fields.get("X_FLEETD_JOB", ""))
    if meaning is not None:
        events.append(
            JobReported(
                run,
                meaning,
                Source.SOCKET,
                id=_safe(fields.get("X_FLEETD_JOB_ID", "")) or None,
                name=_safe(fields.get("X_FLEETD_JOB_NAME", "")) or None,
                queue=_safe(fields.get("X_FLEETD_QUEUE", "")) or None,
                enqueued_at=moment(fields.get("X_FLEETD_ENQUEUED_AT")),
                process=process,
            )
        )
    return events


def read_fields(message: bytes) -> dict[str, str]:
    """The fields of a message; of one that is there twice, the last."""
    lines = message.decode(errors="replace").split("\n")
    return {name: value for name, separator, value in (line.partition("=") for line in lines) if separator}


class _Heard(NamedTuple):
    """What is known of a sender: the last number taken, and its process if it was heard by this daemon."""

    last: int
    pid: int = 0


_NOTHING = _Heard(0)


class NotifySocket:
    """The socket of one run.  Messages are accepted from root, the daemon's own user, and `allowed_uids`."""

    def __init__(
        self,
        fd: socket.socket,
        run: RunId,
        allowed_uids: frozenset[int],
        *,
        seen: Mapping[str, int] | None = None,
        processes: Iterable[int] = (),
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`seen` is what an earlier daemon wrote down, `processes` are those that have its jobs in hand.

        `on_refused` hears, once for each user, of refused messages.
        """
        fd.settimeout(0)
        # Whoever bound it must have asked too, before the first message: the kernel notes a sender as it sends.
        fd.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._sockets = [fd]  # that the worker was started with, and the one at its path if that is another
        self.run = run
        self._allowed = allowed_uids | {0, os.geteuid()}
        self._seen = {sender: _Heard(last) for sender, last in (seen or {}).items()}
        self._answers: dict[bytes | str, set[str]] = {}
        self._on_refused = on_refused
        self._refused: set[int | None] = set()
        self.tellers = Tellers(MOST_TELLERS)
        for pid in processes:
            self.tellers.watch(pid)

    @property
    def seen(self) -> Mapping[str, int]:
        """The last number taken of each sender, up to and with what `receive` returned last; to be written down."""
        return {sender: heard.last for sender, heard in self._seen.items()}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Those to wait on until one of them is readable; there may be more after `receive`."""
        return (*(each.fileno() for each in self._sockets), *self.tellers.descriptors)

    def hear_also(self, fd: socket.socket) -> None:
        """Hear what is said at the path from now on, and as before whoever is connected to the first socket."""
        fd.settimeout(0)
        for lost in self._sockets[1:]:
            lost.close()
        self._sockets[1:] = [fd]

    def receive(self, *, is_over: bool = False) -> list[Event]:
        """What was said since the last call, of a run that is not over MOST_AT_ONCE messages at most; never waits."""
        events: list[Event] = []
        gone = self.tellers.gone()  # before the last of what they said is read
        for _ in range(MOST_AT_THE_END if is_over else MOST_AT_ONCE):
            try:
                message, ancillary, flags, sender = self._next()
            except (BlockingIOError, InterruptedError):
                events += self._told_to_the_end(gone)
                break
            # Closing what came along is also the whole answer to BARRIER=1.
            pid, uid = _take_ancillary(ancillary)
            if uid not in self._allowed:
                self._refuse(uid)
            elif flags & socket.MSG_TRUNC:
                self._on_refused(f"run {self.run}: a message of more than {LONGEST_MESSAGE} bytes was dropped")
            elif self._is_news(message, sender, pid):
                events += parse(self.run, message, pid if self._will_be_missed(pid, message) else None)
        return events

    def _next(self) -> tuple[bytes, list[tuple[int, int, bytes]], int, bytes | str | None]:
        """The oldest message; BlockingIOError if there is none."""
        for each in self._sockets[:-1]:
            with suppress(BlockingIOError):
                return each.recvmsg(LONGEST_MESSAGE, _ROOM, socket.MSG_CMSG_CLOEXEC)
        return self._sockets[-1].recvmsg(LONGEST_MESSAGE, _ROOM, socket.MSG_CMSG_CLOEXEC)

    def acknowledge(self) -> None:
        """Tell the senders that what `receive` returned is written down; one that is gone or deaf is left."""
        for address, senders in self._answers.items():
            for sender in senders:
                answer = f"X_FLEETD_SENDER={sender}\nX_FLEETD_ACK={self._seen.get(sender, _NOTHING).last}"
                with suppress(OSError):  # whatever is at that address now
                    self._sockets[-1].sendto(answer.encode(), address)
        self._answers.clear()
        # Not before its answer is out: one that is forgotten too early sends again what was taken.
        for sender in list(self._seen)[:-MOST_SENDERS]:
            del self._seen[sender]

    def close(self) -> None:
        """Let go of the socket; its path stays, for the caller to remove once the run is over."""
        for each in self._sockets:
            each.close()
        self.tellers.close()

    def _is_news(self, message: bytes, address: bytes | str | None, pid: int) -> bool:
        """Whether a message is to be taken: it has no number, or the one that is due."""
        if b"X_FLEETD_SEQ=" not in message:
            return True
        fields = read_fields(message)
        sender, text = fields.get("X_FLEETD_SENDER", ""), fields.get("X_FLEETD_SEQ", "")
        if not (sender.isalnum() and sender.isascii() and len(sender) <= LONGEST_TEXT and text.isdecimal()):
            return True
        if address:
            self._answers.setdefault(address, set()).add(sender)
        last = self._seen.get(sender, _NOTHING).last
        if len(text) > len(str(last + 1)) or int(text) != last + 1:
            return False
        self._seen.pop(sender, None)
        self._seen[sender] = _Heard(last + 1, pid)
        return True

    def _will_be_missed(self, pid: int, message: bytes) -> bool:
        """Whether a job is in hand only while the process lives that tells: one that numbers what it says goes on."""
        if b"X_FLEETD_JOB=started" not in message or b"X_FLEETD_SEQ=" not in message:
            return False
        return pid > 0 and self.tellers.watch(pid)  # 0: it is in a namespace that is not ours

    def _told_to_the_end(self, gone: list[int]) -> list[Event]:
        """Tells of processes that have ended, once no message is left."""
        for pid in gone:
            self.tellers.forget(pid)
        self._seen = {sender: heard for sender, heard in self._seen.items() if heard.pid not in gone}
        return [ProcessGone(self.run, pid) for pid in gone]

    def _refuse(self, uid: int | None) -> None:
        if uid not in self._refused:
            self._refused.add(uid)
            self._on_refused(f"run {self.run}: messages of uid {uid} on its notify socket are refused")


def is_heard(path: str) -> bool:
    """Whether somebody has a socket open that is at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def bound_again(path: str, uid: int) -> int | None:
    """A new socket in the place of one that is lost, for a worker that runs as `uid`; None where it cannot be made."""
    try:
        return notify_socket(path, uid)
    except StartError:
        return None


def _take_ancillary(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int | None]:
    """The sender's pid and uid, as the kernel vouches for them; descriptors that came along are closed."""
    pid, uid = 0, None
    for level, kind, data in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            fds = array.array("i")
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
            for fd in fds:
                with suppress(OSError):  # EIO, ENOSPC: of a file that the sender chose
                    os.close(fd)
        elif kind == socket.SCM_CREDENTIALS and len(data) >= _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack_from(data)
    return pid, uid


def _safe(text: str) -> str:
    """Bounded, and without control characters: it is shown to people."""
    text = text[:LONGEST_TEXT].strip()
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _number(text: str | None) -> float | None:
    """A number of microseconds that is not negative; None for anything else."""
    try:
        number = float(text) if text is not None and len(text) <= 32 else -1.0  # noqa: PLR2004 - more is no number
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
