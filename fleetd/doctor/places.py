"""The directories of the daemon: whether it can write there, and whether there is room."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fleetd.core.capacity import log_room
from fleetd.core.spec import Bytes, DaemonSpec, FleetSpec
from fleetd.doctor.report import HOST, Place, Rule, Told
from fleetd.errors import FleetdError
from fleetd.shell import paths
from fleetd.views.status_table import size

ALMOST_NOTHING = 100 << 20  # bytes

DIRECTORIES = Rule(
    "directories",
    "`log-directory`, `runtime-directory` and `state-directory`: whether the daemon can make and use them, and whether "
    "anybody else could change what is in them",
    "the daemon does not start",
    "name another one in [daemon], or put its owner and mode right",
)
SOCKETS = Rule(
    "socket-paths",
    "the length of the paths of sockets below `runtime-directory`",
    "the kernel takes at most 107 bytes: the daemon does not start",
    "name a shorter runtime-directory in [daemon]",
)
ROOM = Rule(
    "disk-room",
    "the free space where logs and state are kept, and what the pools' logs may grow to (`max-size`, `keep`)",
    "on a full disk the output of workers is dropped, and counts and stops are no more remembered",
    "make room, lower log.max-size or log.keep, or name another directory",
)
RULES = (DIRECTORIES, SOCKETS, ROOM)


class Seen(Struct, frozen=True):
    """One directory as it was found: what keeps it from being used (None: nothing), and the bytes that are free."""

    key: str  # log-directory
    path: str
    trouble: str | None
    free: Bytes


def observe(name: str, daemon: DaemonSpec) -> tuple[Seen, ...] | str:
    """The directories of an instance; a text where the paths of their sockets are too long.  Nothing is made."""
    try:
        places = paths.instance(name, daemon)
    except FleetdError as error:
        return str(error)
    return (
        _seen("log-directory", places.logs),
        _seen("runtime-directory", places.runtime.parent),  # sockets are reached through it: it must be as safe
        _seen("runtime-directory", places.runtime),
        _seen("state-directory", places.state),
    )


def judge(spec: FleetSpec, seen: tuple[Seen, ...] | str, place: Place) -> Iterator[Told]:
    """What is to be said of them; `place` is the [daemon] table."""
    if isinstance(seen, str):
        yield SOCKETS.error(HOST, seen, place)
        return
    yield SOCKETS.ok(HOST, "the paths of all sockets are short enough")
    for each in seen:
        line = Place(place.where, f"daemon.{each.key}")
        if each.trouble is not None:
            yield DIRECTORIES.error(HOST, f"{each.key} {each.path}: {each.trouble}", line)
        else:
            yield DIRECTORIES.ok(HOST, f"{each.key} {each.path}")
            if each.key != "runtime-directory":
                yield room(each, log_room(spec) if each.key == "log-directory" else 0, line)


def room(seen: Seen, wanted: Bytes, place: Place) -> Told:
    """The space that is free, against what logs may grow to."""
    there = f"{size(seen.free)} free for {seen.key} {seen.path}"
    if seen.free < ALMOST_NOTHING:
        return ROOM.error(HOST, f"only {there}", place)
    if wanted > seen.free:
        return ROOM.warning(HOST, f"{there}, and the logs of these pools may take {size(wanted)}", place)
    return ROOM.ok(HOST, there)


def _seen(key: str, path: Path) -> Seen:
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    try:
        found = os.statvfs(there)
        free = found.f_bavail * found.f_frsize
        return Seen(key, str(path), _trouble(path, there), free)
    except OSError as error:
        return Seen(key, str(path), f"{there} cannot be looked at: {(error.strerror or '').lower()}", ALMOST_NOTHING)


def _trouble(path: Path, there: Path) -> str | None:
    """What keeps the daemon from making or using it; `there` is what exists of it."""
    found = there.lstat()
    if there == path:
        if not stat.S_ISDIR(found.st_mode):
            return "is no directory of its own (a link or a file)"
        if found.st_uid not in {0, os.geteuid()}:
            return f"belongs to user {found.st_uid}"
        if found.st_mode & 0o022:
            return "others may write to it"
    elif not there.is_dir():
        return f"cannot be made: {there} is no directory"
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        return "cannot be written" if there == path else f"cannot be made: {there} cannot be written"
    return None
