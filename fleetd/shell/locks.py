"""The locks that make an instance one daemon, and what tells the next one where the last had its sockets.

Both are held for as long as a descriptor of them is open, here or in a child that has it.  The one beside the sockets
is what commands look at.  The one beside the state holds where the first cannot be seen: the runtime directory is
another one for the next daemon, as under a login of its own, or was removed and made again.
"""

from __future__ import annotations

import errno
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
        """Write into them that this process is the daemon, and where it has its sockets.

        Raises FleetdError where that is not possible: nobody could tell who the daemon is.
        """
        try:
            _write(self.runtime, f"{os.getpid()}\n")
        except OSError as error:
            why = "it can only be read" if error.errno == errno.EINVAL else error.strerror  # of ftruncate
            raise FleetdError(f"{places.lock} cannot be written: {why}") from error
        with suppress(OSError):  # a full disk: what is held counts, this only tells more
            _write(self.state, f"{os.getpid()}\n{_here()}\n{places.runtime}\n")

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
    state = beside_the_state(places)
    try:
        locks = Locks(_taken(places.lock, places), state)
    except FleetdError:
        os.close(state)
        raise
    locks.write_down(places)
    return locks


def beside_the_state(places: Instance) -> int:
    """The lock beside the state alone.  Raises FleetdError as `take` does."""
    state = _taken(places.state_lock, places)
    _, here, runtime = _read(state)
    if here == _here() and runtime != str(places.runtime) and Path(runtime, places.journal.name).exists():
        os.close(state)
        raise FleetdError(
            f"instance {places.name!r} ended without its workers, and they are to be reached in {runtime}, not in "
            f"{places.runtime}: to go on with them, name {Path(runtime).parent} as runtime-directory in [daemon]; "
            f"where none of them runs any more, remove {runtime}"
        )
    return state


def kept_beside_the_state(places: Instance) -> int | None:
    """The lock that this process has already, and does not know of: an earlier version in it went on without."""
    for descriptor in [int(each.name) for each in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):
            if _is_still(places.state_lock, descriptor):
                os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional only
                return descriptor
    return None


def check(places: Instance, daemon: int) -> None:
    """See to it that what takes the place of the `daemon` could have the lock beside the state.

    Raises:
        FleetdError: as `take` does.

    """
    try:
        pid = places.state_lock.read_text(errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return
    if pid != str(daemon):
        os.close(beside_the_state(places))


def _taken(path: Path, places: Instance) -> int:
    while True:
        lock = _opened(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = _read(lock)
            os.close(lock)
            raise FleetdError(_runs_already(places, *told)) from None
        except OSError as error:
            os.close(lock)
            raise FleetdError(
                f"{path} cannot be locked: {error.strerror}; name another directory in [daemon]"
            ) from error
        if _is_still(path, lock):
            return lock
        os.close(lock)  # a cleaner removed the file meanwhile: the lock would be on nothing


def _opened(path: Path) -> int:
    """For writing; where the disk takes nothing any more, one that is there can still be locked."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        with suppress(OSError):
            return os.open(path, flags | os.O_RDONLY)
        raise FleetdError(f"{path} cannot be opened: {error.strerror}") from error


def _runs_already(places: Instance, pid: str, here: str, runtime: str) -> str:
    """Of the lock beside the sockets, the pid alone is known."""
    if here not in {"", _here()}:
        return f"instance {places.name!r} is running already, in another container: its state is in {places.state}"
    text = f"instance {places.name!r} is running already (pid {pid or 'not known yet'})"
    if runtime and not Path(runtime, places.control.name).exists():
        return (
            f"{text}, and takes no commands: it is starting or ending, or its sockets in {runtime} were removed, and "
            f"then `kill {pid}` drains it"
        )
    if runtime not in {"", str(places.runtime)}:
        text += f", with its sockets in {runtime}"
    return f"{text}; stop it first, or give --instance NAME"


def _here() -> str:
    """The boot and pid namespace: what was written elsewhere says nothing of processes here."""
    return f"{boot_id()} {Path('/proc/self/ns/pid').stat().st_ino}"


def _read(lock: int) -> tuple[str, str, str]:
    """The pid, where it is one, and the runtime directory that stand in it, "" where they do not."""
    words = os.pread(lock, 8192, 0).decode(errors="replace").split("\n")
    pid, here, runtime = (*words, "", "", "")[:3]
    return pid, here, runtime


def _write(lock: int, text: str) -> None:
    data = os.fsencode(text)
    if os.pread(lock, len(data) + 1, 0) != data:  # it stays as it is in an upgrade, which needs no room for it then
        os.ftruncate(lock, 0)
        os.pwrite(lock, data, 0)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
