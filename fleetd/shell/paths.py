"""Where an instance keeps its things, and who is running there."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fleetd.errors import FleetdError, NotFoundError, UsageError
from fleetd.shell.log_directory import directory_mode

if TYPE_CHECKING:  # the command line starts without the specification's classes
    from fleetd.core.spec import DaemonSpec

LONGEST_SOCKET = 107  # bytes: sun_path in unix(7), less its closing zero
RUN_ID_LENGTH = 32  # characters of a run's id, the name of its notify socket

_SYSTEM_RUNTIME = Path("/run/fleetd")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


class Instance(NamedTuple):
    """One daemon's places on this host."""

    name: str
    runtime: Path  # RUNTIME/INSTANCE
    state: Path  # STATE/INSTANCE
    logs: Path  # LOGDIR/INSTANCE

    @property
    def control(self) -> Path:
        """The socket for commands."""
        return self.runtime / "control.sock"

    @property
    def keeper(self) -> Path:
        """The keeper's socket."""
        return self.runtime / "keeper.sock"

    @property
    def lock(self) -> Path:
        """The file that is locked while a daemon runs; it holds the daemon's pid (`fleetd.shell.locks`)."""
        return self.runtime / "lock"

    @property
    def state_lock(self) -> Path:
        """The file that is locked while a daemon runs, wherever its sockets are."""
        return self.state / "lock"

    @property
    def notify(self) -> Path:
        """The directory of the runs' notify sockets."""
        return self.runtime / "notify"

    @property
    def journal(self) -> Path:
        """The journal of runs."""
        return self.runtime / "runs.journal"

    @property
    def state_file(self) -> Path:
        """What is remembered over restarts of the daemon."""
        return self.state / "state.json"

    @property
    def id_file(self) -> Path:
        """Who this instance is in its fleet."""
        return self.state / "instance-id.json"

    @property
    def daemon_log(self) -> Path:
        """The daemon's own log when it is detached."""
        return self.logs / "fleetd.log"


class Running(NamedTuple):
    """A daemon that was found: its instance's name and the socket that it listens at."""

    name: str
    control: Path


def instance_name(files: Sequence[Path], named: str | None = None) -> str:
    """The name given with --instance, else the first file's stem.  Raises UsageError when it is not a valid name."""
    name = files[0].stem if named is None else named
    if not _NAME.fullmatch(name):
        origin = "--instance" if named is not None else f"the name of {files[0]}"
        raise UsageError(
            f"{origin}: {name!r} is no instance name (a-z, 0-9, then also _ . -, at most 63); use --instance NAME"
        )
    return name


def instance(name: str, daemon: DaemonSpec) -> Instance:
    """The places of instance `name` as `daemon` sets them, else the defaults for the caller.

    Raises UsageError when a socket's path would be longer than the kernel takes.
    """
    state = Path(daemon.state_directory) if daemon.state_directory else _state_directory()
    logs = Path(daemon.log_directory) if daemon.log_directory else _log_directory()
    runtime = Path(daemon.runtime_directory) if daemon.runtime_directory else runtime_directory()
    places = Instance(name, runtime.absolute() / name, state.absolute() / name, logs.absolute() / name)
    longest = max(len(os.fsencode(path)) for path in (places.control, places.notify / ("0" * RUN_ID_LENGTH)))
    if longest > LONGEST_SOCKET:
        raise UsageError(
            f"[daemon] runtime-directory: {runtime} makes socket paths of {longest} bytes, "
            f"and the kernel takes at most {LONGEST_SOCKET}; name a shorter one"
        )
    return places


def runtime_directory() -> Path:
    """The caller's default parent of instances' sockets."""
    if os.geteuid() == 0:
        return _SYSTEM_RUNTIME
    if session := _from_environment("XDG_RUNTIME_DIR"):
        return session / "fleetd"
    return (_from_environment("TMPDIR") or Path("/tmp")) / f"fleetd-{os.geteuid()}"  # noqa: S108 (owner and mode are checked)


def runtime_directories() -> tuple[Path, ...]:
    """Where the caller's commands look for daemons: its own place first, unless another user made that."""
    own = runtime_directory()
    places = (own,) if own == _SYSTEM_RUNTIME else (own, _SYSTEM_RUNTIME)
    return tuple(place for place in places if not place.exists() or place.lstat().st_uid in {0, os.geteuid()})


def prepare(places: Instance, socket_group: str | None = None) -> None:
    """Make the instance's directories, and make sure that nobody else could have put things there.

    Workers of other users must reach their notify sockets, so as root the runtime directory may be entered by all; they
    may pass through the directories of the logs to files that are theirs; the state is the daemon's own.  Raises
    FleetdError for a directory that another user owns or may write to.
    """
    shared = os.geteuid() == 0 or socket_group is not None
    for directory in (places.runtime.parent, places.runtime):
        _own_directory(directory, 0o755 if shared else 0o700)
    _own_directory(places.notify, 0o711 if shared else 0o700)  # workers know their sockets' names, and nobody else's
    _own_directory(places.state, 0o700)
    if os.geteuid() == 0 and not places.logs.parent.exists():
        _own_directory(places.logs.parent, 0o755)
    _own_directory(places.logs, directory_mode())


def find(named: str | None, directories: Iterable[Path]) -> Running:
    """The running daemon called `named`, else the only one that runs in `directories`.

    Raises NotFoundError when there is none, UsageError with the names when there are several and none was named.
    """
    places = tuple(directories)
    found = [daemon for directory in places for daemon in running(directory)]
    if named is not None:
        found = [daemon for daemon in found if daemon.name == named][:1]
    if not found:
        where = " or ".join(str(each) for each in places)
        start = f"in {where}: start it with `fleetd start -c FILE`"
        if named is not None:
            raise NotFoundError(f"no daemon of instance {named!r} is running {start}")
        raise NotFoundError(f"no daemon is running {start}, or say which with -c FILE")
    if len(found) > 1:
        names = ", ".join(daemon.name for daemon in found)
        raise UsageError(f"several daemons are running ({names}): say which with --instance NAME or -c FILE")
    return found[0]


def running(directory: Path) -> list[Running]:
    """The daemons that listen in `directory`, also those that the caller may not command, ordered by name."""
    try:
        names = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    sockets = (Running(name, directory / name / "control.sock") for name in names if _NAME.fullmatch(name))
    return [daemon for daemon in sockets if _listens(daemon.control)]


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # it hangs, and as many as may wait for it do
            return True
        except PermissionError:
            return _is_locked(path.with_name("lock"))
        except OSError:
            return False
    return True


def _is_locked(path: Path) -> bool:
    """Whether a daemon holds its lock: what tells a forbidden socket from one that a dead daemon left."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _state_directory() -> Path:
    return Path("/var/lib/fleetd") if os.geteuid() == 0 else _user_state()


def _log_directory() -> Path:
    return Path("/var/log/fleetd") if os.geteuid() == 0 else _user_state() / "log"


def _user_state() -> Path:
    return (_from_environment("XDG_STATE_HOME") or _home() / ".local" / "state") / "fleetd"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # as containers are run with any user id
        raise FleetdError(
            f"user {os.geteuid()} has no home directory (HOME is not set, and there is no such account): "
            "name state-directory and log-directory in [daemon]"
        ) from None


def _from_environment(variable: str) -> Path | None:
    """Its directory; a relative one counts as unset (XDG Base Directory Specification 0.8)."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else None


def _own_directory(directory: Path, mode: int) -> None:
    try:
        directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not os.path.lexists(directory):
            directory.mkdir(mode=mode, exist_ok=True)
            directory.chmod(mode)  # whatever the umask
        found = directory.lstat()
    except OSError as error:
        raise FleetdError(f"cannot make {directory}: {error.strerror}; name another directory in [daemon]") from None
    if not stat.S_ISDIR(found.st_mode):
        raise FleetdError(f"{directory} is no directory of its own (a link or a file); name another one in [daemon]")
    if found.st_uid not in {0, os.geteuid()}:
        raise FleetdError(
            f"{directory} belongs to user {found.st_uid}; remove it or name another directory in [daemon]"
        )
    if found.st_mode & 0o022:
        raise FleetdError(f"others may write to {directory}: run `chmod go-w {directory}`")
