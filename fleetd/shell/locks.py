"""The locks that make an instance one daemon, and what tells the next one where the last had its sockets.

Both are held for as long as a descriptor of them is open, here or in a child that has it.  The one beside the sockets
is what commands look at.  The one beside the state holds where the first cannot be seen: the runtime directory is
another one for the next daemon, as under a login of its own, or was removed and made again.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from fleetd.errors import FleetdError
from fleetd.shell.journal import boot_id
from fleetd.shell.paths import Instance


class Locks(Struct):
    """Descriptors of both."""

    runtime: int
    state: int

    def write_down(self, places: Instance) -> None:
        """Write into them that this process is the daemon, and where it has its sockets."""
        _write(self.runtime, f"{os.getpid()}\n")
        with suppress(OSError):  # a full disk: what is held counts, this only tells more
            _write(self.state, f"{os.getpid()}\n{boot_id()}\n{places.runtime}\n")

    def erase(self) -> None:
        """The daemon ends, and leaves no worker behind: the next one may have its sockets anywhere."""
        with suppress(OSError):
            os.ftruncate(self.state, 0)

    def take_again(self, places: Instance) -> None:
        """The file beside the sockets was removed: lock a new one.  Raises FleetdError."""
        before, self.runtime = self.runtime, _taken(places.lock, places)
        os.close(before)
        self.write_down(places)

    def close(self) -> None:
        """Leave them to a child that has them."""
        os.close(self.runtime)
        os.close(self.state)


def take(places: Instance) -> Locks:
    """Lock the instance.

    Raises:
        FleetdError: a daemon runs already, or ended without its workers and had its sockets elsewhere.

    """
    state = taken_beside_the_state(places)
    try:
        return Locks(_taken(places.lock, places), state)
    except FleetdError:
        os.close(state)
        raise


def taken_beside_the_state(places: Instance) -> int:
    """The lock beside the state alone.  Raises FleetdError as `take` does."""
    state = _taken(places.state_lock, places)
    _, boot, runtime = _read(state)
    if boot == boot_id() and runtime != str(places.runtime) and Path(runtime, places.journal.name).exists():
        os.close(state)
        raise FleetdError(
            f"instance {places.name!r} ended without its workers, and they are to be reached in {runtime}, not in "
            f"{places.runtime}: to go on with them, name {Path(runtime).parent} as runtime-directory in [daemon]; "
            f"where none of them runs any more, remove {runtime}"
        )
    return state


def _taken(path: Path, places: Instance) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, _, runtime = _read(lock)
            os.close(lock)
            raise FleetdError(_runs_already(places, pid, runtime)) from None
        if _is_still(path, lock):
            return lock
        os.close(lock)  # a cleaner removed the file meanwhile: the lock would be on nothing


def _runs_already(places: Instance, pid: str, runtime: str) -> str:
    text = f"instance {places.name!r} is running already (pid {pid or 'not known yet'})"
    if runtime and not Path(runtime, places.control.name).exists():
        return f"{text}, and its sockets in {runtime} are gone: `kill {pid}` drains it"
    if runtime not in {"", str(places.runtime)}:
        text += f", with its sockets in {runtime}"
    return f"{text}; stop it first, or give --instance NAME"


def _read(lock: int) -> tuple[str, str, str]:
    """The pid, the boot and the runtime directory that stand in it, "" where they do not."""
    words = os.pread(lock, 8192, 0).decode(errors="replace").split("\n")
    pid, boot, runtime = (*words, "", "", "")[:3]
    return pid, boot, runtime


def _write(lock: int, text: str) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, os.fsencode(text), 0)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
