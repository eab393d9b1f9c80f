"""What is remembered over restarts of the daemon: the operator's wishes and the counters, in one JSON file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fleetd.core.records import PoolMemory, Remembered, RollRecord
from fleetd.errors import FleetdError

SCHEMA = 1

_POOL_FIELDS = {field.name for field in fields(PoolMemory)}
_ROLL_FIELDS = {field.name for field in fields(RollRecord)}


def load(path: Path) -> Remembered:
    """Read the file; one that is missing remembers nothing.

    Raises FleetdError for one that cannot be read: to start without it could start what an operator had stopped.
    """
    try:
        document = json.loads(path.read_text())
        if document["schema"] != SCHEMA:
            raise FleetdError(
                f"{path}: written by another version of fleetd (schema {document['schema']}); move it away"
            )
        return Remembered({name: _pool(values) for name, values in document["pools"].items()})
    except FileNotFoundError:
        return Remembered()
    except OSError as error:
        raise FleetdError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FleetdError(
            f"{path}: is damaged; move it away to start without what it remembers (stops, scaling, counters)"
        ) from error


def save(path: Path, remembered: Remembered) -> None:
    """Write the file in one step: it is whole, old or new, at every instant.  Raises OSError."""
    document = {"schema": SCHEMA, "pools": {name: asdict(memory) for name, memory in remembered.pools.items()}}
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(json.dumps(document))
            file.flush()
            os.fsync(fd)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)  # of no use, and in the way on a full disk
        raise


def _pool(values: dict[str, Any]) -> PoolMemory:
    known = _known(values, _POOL_FIELDS)
    if known.get("roll") is not None:
        known["roll"] = RollRecord(**_known(known["roll"], _ROLL_FIELDS))
    return PoolMemory(**known)


def _known(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The fields that this version knows, with JSON's lists as the tuples that they were."""
    known = {name: values[name] for name in names & values.keys()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
