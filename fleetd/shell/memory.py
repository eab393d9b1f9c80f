"""What is remembered over restarts of the daemon: the operator's wishes and the counters, in one JSON file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from fleetd.core.records import FleetMemory, PoolMemory, Remembered
from fleetd.errors import FleetdError
from fleetd.shell.documents import decode, encode

SCHEMA = 1


class _Document(Struct, frozen=True):
    schema: int
    pools: Mapping[str, PoolMemory]
    fleet: FleetMemory | None = None


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
    return Remembered(document.pools, document.fleet)


def save(path: Path, remembered: Remembered) -> None:
    """Write the file in one step: it is whole, old or new, at every instant.  Raises OSError."""
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(encode(_Document(SCHEMA, remembered.pools, remembered.fleet)))
            file.flush()
            os.fsync(fd)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)  # of no use, and in the way on a full disk
        raise
