"""From what the core wants started to what the keeper is asked for: texts expanded, names looked up."""

from __future__ import annotations

import grp
import os
import pwd
import re
import resource
import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from fleetd.core.effects import Spawn
from fleetd.core.placeholders import AT_SPAWN
from fleetd.core.spec import Launch, Seconds
from fleetd.shell.preloading import preload_of
from fleetd.shell.spawn_request import LaunchError, SpawnRequest

PLACEHOLDER = re.compile(rf"\{{\{{|\{{({'|'.join(AT_SPAWN)})\}}")
PRIVATE = re.compile(
    r"FLEETD_|(NOTIFY_SOCKET|LISTEN_(PID|FDS|FDNAMES)|WATCHDOG_(USEC|PID)|INVOCATION_ID|JOURNAL_STREAM|MAINPID)$"
)  # what was told to the daemon and is not true of a worker


class Place(Struct, frozen=True):
    """Where workers start: this daemon on this host.

    `directory` is the daemon's own; the notify sockets of runs are made in `notify_folder`.
    """

    host: str
    fleet: str | None
    directory: str
    notify_folder: Path


class Identity(Struct, frozen=True):
    """A user and groups as numbers; None is inherited."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the daemon's environment every worker gets, under what it is told itself."""
    return {name: value for name, value in environ.items() if not PRIVATE.match(name)}


def request_for(spawn: Spawn, place: Place, meta: str = "") -> SpawnRequest:
    """What the keeper is to start; `meta` comes back with the run when a later daemon takes it over.

    A pinned directory that is no more there gives way to the Launch's own.

    Raises:
        LaunchError: an unknown user, group or limit, or a command that cannot be preloaded.

    """
    launch = spawn.launch
    values = _values(spawn, place)
    entry = _entry(launch.user)
    identity = identity_of(launch.user, launch.group)
    env = {} if entry is None else {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    fixed = {name: expand(value, values) for name, value in launch.env.items()} | _told(spawn, place)
    directory = spawn.directory
    if directory is None or _is_gone(directory):
        directory = str(Path(place.directory, expand(launch.directory or "", values)))
    command = (launch.entry,) if launch.entry is not None else launch.command
    argv = tuple(expand(argument, values) for argument in command)
    return SpawnRequest(
        run=spawn.run,
        argv=argv,
        env=env | fixed,
        directory=directory,
        meta=meta,
        notify=fixed["NOTIFY_SOCKET"],
        umask=launch.umask,
        user=launch.user,
        uid=identity.uid,
        gid=identity.gid,
        groups=identity.groups,
        env_file=launch.env_file,
        env_wins=tuple(fixed) if launch.env_file is not None else (),
        limits=tuple((limit_number(name), value) for name, value in launch.limits),
        nice=launch.nice,
        affinity=launch.cpu_affinity,
        preload=preload_of(spawn, argv, inherited(os.environ) | env | fixed, directory)
        if launch.is_preloaded
        else None,
    )


def _is_gone(directory: str) -> bool:
    """Whether there is surely no such directory: one that this process may not look at is left to the worker."""
    try:
        return not stat.S_ISDIR(Path(directory).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        return False


def expand(text: str, values: Mapping[str, str]) -> str:
    """Put values in for those of AT_SPAWN, each in braces; `{{` is a literal brace, any other stays."""
    return PLACEHOLDER.sub(lambda match: values[match[1]] if match[1] else "{", text)


def uid_of(launch: Launch) -> int | None:
    """Whose processes these are; None for a user that there is not."""
    try:
        uid = identity_of(launch.user, launch.group).uid
    except LaunchError:
        return None
    return os.geteuid() if uid is None else uid


def identity_of(user: str | None, group: str | None) -> Identity:
    """Who a worker runs as, with the user's supplementary groups; nothing where it is what this process is already.

    Raises:
        LaunchError: there is no such user or group.

    """
    entry = _entry(user)
    gid = _group_number(group) if group is not None else None
    if entry is None:
        return Identity(gid=None if gid == os.getegid() else gid)
    gid = entry.pw_gid if gid is None else gid
    groups = tuple(sorted(set(os.getgrouplist(entry.pw_name, gid))))
    if entry.pw_uid != os.geteuid():
        return Identity(entry.pw_uid, gid, groups)
    if os.geteuid() == 0 and set(groups) != {*os.getgroups(), gid}:
        return Identity(gid=gid, groups=groups)
    return Identity(gid=None if gid == os.getegid() else gid)


def limit_number(name: str) -> int:
    """The RLIMIT_ number of a limit's name in the pool file (`nofile`).

    Raises:
        LaunchError: this system has no such limit.

    """
    number = getattr(resource, f"RLIMIT_{name.upper()}", None)
    if not isinstance(number, int):
        raise LaunchError(f"limits: this system has no limit {name}")
    return number


def _values(spawn: Spawn, place: Place) -> dict[str, str]:
    return {
        "slot": str(spawn.slot),
        "pool": spawn.pool,
        "host": place.host,
        "queues": ",".join(spawn.launch.queues),
        "epoch": _shown(spawn.epoch),
        "run": spawn.run,
    }


def _told(spawn: Spawn, place: Place) -> dict[str, str]:
    """What every worker is told in its environment; what is not known is empty."""
    launch = spawn.launch
    told = {
        "FLEETD_POOL": spawn.pool,
        "FLEETD_SLOT": str(spawn.slot),
        "FLEETD_WORKER": f"{spawn.pool}:{spawn.slot}",
        "FLEETD_HOST": place.host,
        "FLEETD_FLEET": place.fleet or "",
        "FLEETD_QUEUES": ",".join(launch.queues),
        "FLEETD_MAX_JOBS": _shown(spawn.max_jobs),
        "FLEETD_JOB_TIMEOUT": _shown(launch.job_timeout),
        "FLEETD_EPOCH": _shown(spawn.epoch),
        "FLEETD_RUN": spawn.run,
        "NOTIFY_SOCKET": f"{place.notify_folder}/{spawn.run}",
    }
    if launch.watchdog is not None:
        told["WATCHDOG_USEC"] = str(round(launch.watchdog * 1_000_000))  # sd_watchdog_enabled(3)
    return told


def _shown(number: Seconds | None) -> str:
    if number is None:
        return ""
    return str(int(number)) if number == int(number) else str(number)


def _entry(user: str | None) -> pwd.struct_passwd | None:
    if user is None:
        return None
    try:
        return pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise LaunchError(f"user {user} does not exist on this host") from None


def _group_number(group: str) -> int:
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LaunchError(f"group {group} does not exist on this host") from None
