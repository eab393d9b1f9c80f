"""Who this machine is, and this instance on it: what a fleet tells its members apart by."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from fleetd.shell.documents import decode, encode

_log = logging.getLogger("fleetd")
_MACHINE_ID = Path("/etc/machine-id")  # machine-id(5)


class InstanceId(Struct, frozen=True):
    """A random id, drawn once for an instance on a machine, and the machine's own (empty where it has none)."""

    id: str
    machine: str


def instance_id(path: Path) -> InstanceId:
    """The id that is kept in the file; a new one where there is none, or where the file came from another machine.

    One that cannot be kept is good until the daemon ends: its next one has to wait for the lease of this.
    """
    machine = ""
    with suppress(OSError, UnicodeDecodeError):
        machine = _MACHINE_ID.read_text(encoding="ascii").strip()
    with suppress(OSError, ValueError):
        kept = decode(path.read_bytes(), InstanceId)
        if kept.machine == machine:
            return kept
    fresh = InstanceId(os.urandom(16).hex(), machine)
    new = path.with_suffix(".new")
    try:
        new.write_bytes(encode(fresh))
        new.replace(path)
    except OSError as error:
        _log.warning("%s cannot be written: %s; this daemon's next start may wait for its place", path, error.strerror)
    return fresh
