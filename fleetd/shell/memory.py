"""What is remembered over restarts of the daemon: the operator's wishes and the counters, in one JSON file."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from fleetd.core.records import FleetMemory, IncidentMemory, PoolMemory, Remembered
from fleetd.errors import FleetdError
from fleetd.shell.documents import decode, encode

SCHEMA = 1
SAVE_WITHIN = 5.0  # seconds in which lazily remembered things are written
SAVE_AGAIN = 30.0  # seconds until that is tried again where it failed

_log = logging.getLogger("fleetd")


class _Document(Struct, frozen=True):
    schema: int
    pools: Mapping[str, PoolMemory]
    fleet: FleetMemory | None = None
    incidents: tuple[IncidentMemory, ...] = ()


def load(path: Path) -> Remembered:
    """Read the file; one that is missing remembers nothing.

    Raises FleetdError for one that cannot be read: to start without it could start what an operator had stopped.
    """
    try:
        document = decode(path.read_bytes(), _Document)
    except FileNotFoundError:
        return Remembered()
    except OSError as error:
        raise FleetdError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FleetdError(
            f"{path}: is damaged; move it away to start without what it remembers (stops, scaling, counters, epochs)"
        ) from error
    if document.schema != SCHEMA:
        raise FleetdError(f"{path}: written by another version of fleetd (schema {document.schema}); move it away")
    return Remembered(document.pools, document.fleet, document.incidents)


def save(path: Path, remembered: Remembered) -> None:
    """Write the file in one step: it is whole, old or new, at every instant.  Raises OSError."""
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(encode(_Document(SCHEMA, remembered.pools, remembered.fleet, remembered.incidents)))
            file.flush()
            os.fsync(fd)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)  # of no use, and in the way on a full disk
        raise


class StateFile:
    """The file as a running daemon keeps it; `remembered` is what it is to hold now."""

    def __init__(self, path: Path, remembered: Callable[[], Remembered]) -> None:
        self._path = path
        self._remembered = remembered
        self._saving: asyncio.TimerHandle | None = None
        self._fails = False

    def remember(self, lazily: bool) -> None:  # noqa: FBT001 - the interpreter's only argument
        """Write it now, or within a while."""
        if not lazily:
            self.save()
        elif self._saving is None:
            self._saving = asyncio.get_running_loop().call_later(SAVE_WITHIN, self.save)

    def save(self) -> None:
        """Write it now; where that cannot be, it is told once, and tried again."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        try:
            save(self._path, self._remembered())
        except OSError as error:
            if not self._fails:
                text = "%s cannot be written: %s; stops and scaling would be forgotten"
                _log.error(text, self._path, error.strerror or error)
            self._fails = True
            self._saving = asyncio.get_running_loop().call_later(SAVE_AGAIN, self.save)
        else:
            if self._fails:
                _log.info("%s is written again", self._path)
            self._fails = False
