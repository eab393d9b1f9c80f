"""What a daemon hands to the one that takes its place in the same process, and how that receives it.

The process stays: its pid, working directory and standard streams, and by number the descriptors of the lock, of the
control socket and of its connections.  The rest is told in a file in memory, which one environment variable names.
Signals are blocked from before the exec until the new daemon handles them, so none is lost and none kills.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from msgspec import Struct, field

from fleetd.errors import FleetdError
from fleetd.shell.documents import decode, encode
from fleetd.shell.locks import Locks, beside_the_state, kept_beside_the_state
from fleetd.shell.paths import Instance

VARIABLE = "FLEETD_HANDOVER"  # PID:DESCRIPTOR
FORMAT = 1  # of what is handed over; a version that does not read this one fails its self-check


class Left(Struct, frozen=True, omit_defaults=True):
    """What is left of a conversation: the connection, its request as far as it is read, and what was not sent yet.

    `verb` is None as long as the request is not read whole.
    """

    connection: int  # descriptor
    verb: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    unread: bytes = b""
    unsent: bytes = b""
    is_answered: bool = False


class Listening(Struct, frozen=True):
    """A control socket as one daemon hands it to the next: its descriptor, its file, and who is being answered."""

    listener: int
    file: tuple[int, int]  # device and inode
    conversations: tuple[Left, ...] = ()


class Handover(Struct, frozen=True):
    """What is handed over; `mask` are the signals that were blocked before."""

    version: str  # of the daemon that hands over
    runtime: str  # RUNTIME/INSTANCE
    lock: int  # descriptor
    detached: bool
    mask: tuple[int, ...]
    control: Listening
    state_lock: int | None = None  # descriptor; None: of a version that had none

    @property
    def locks(self) -> tuple[int, ...]:
        """The descriptors of the locks."""
        return (self.lock,) if self.state_lock is None else (self.lock, self.state_lock)

    def tenure(self, places: Instance) -> Tenure:
        """What goes on here.  Raises FleetdError when the locks are not of these places: workers would be doubled."""
        if self.runtime != str(places.runtime):
            raise FleetdError(moved(self.runtime, str(places.runtime)))
        state = self.state_lock
        if state is None:
            state = kept_beside_the_state(places)
        if state is None:
            state = beside_the_state(places)
        locks = Locks(self.lock, state)
        locks.write_down(places)
        return Tenure(locks, self.detached, before=self)

    def listen_to_signals(self) -> None:
        """Let signals come again; what came meanwhile comes now."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


class Tenure(Struct):
    """What makes a process the daemon of an instance.

    A byte is written to the descriptor `listening` once commands are taken.  `before` is what an earlier daemon of the
    same process handed over.
    """

    locks: Locks
    detached: bool = False
    listening: int | None = None
    before: Handover | None = None

    def commands_are_taken(self) -> None:
        """Say so to who waits for it."""
        if self.listening is not None:
            os.write(self.listening, b"\n")
            os.close(self.listening)
            self.listening = None


def moved(runtime: str, now: str) -> str:
    """Why a daemon cannot be replaced by one with another runtime directory."""
    return f"the pool files name another runtime-directory ({now}) than the daemon runs with ({runtime}): stop it first"


def block_signals() -> tuple[int, ...]:
    """Have every signal wait; answers those that did before."""
    return tuple(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())))


def program() -> list[str]:
    """The words by which this process was started, up to its arguments, with the interpreter's path first."""
    return [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]]


def give(handover: Handover) -> NoReturn:
    """Become the program that is installed now, with the arguments of this one.  Raises OSError."""
    told = os.memfd_create("handover")
    with os.fdopen(told, "wb", closefd=False) as file:
        file.write(encode(handover))
    for descriptor in (told, *handover.locks):
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - positional only
    sys.stdout.flush()
    sys.stderr.flush()
    words = [*program(), *sys.argv[1:]]
    block_signals()  # again, as what ran meanwhile may have let one through: the next program has no handlers yet
    os.execve(words[0], words, {**os.environ, VARIABLE: f"{os.getpid()}:{told}"})  # noqa: S606


def received() -> Handover | None:
    """What an earlier daemon handed to this process, once; None where there was none."""
    pid, _, told = os.environ.pop(VARIABLE, "").partition(":")
    if pid != str(os.getpid()) or not told.isdecimal():
        return None
    with os.fdopen(int(told), "rb") as file:
        file.seek(0)
        handover = decode(file.read(), Handover)
    listening = handover.control
    for descriptor in (*handover.locks, listening.listener, *(each.connection for each in listening.conversations)):
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return handover
