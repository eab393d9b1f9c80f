"""Pool files that a daemon may run."""

from __future__ import annotations

from msgspec import Struct

from fleetd.core.spec import FleetSpec


class Accepted(Struct, frozen=True):
    """What they say, and what somebody who starts or reloads them should be told all the same, one line each."""

    spec: FleetSpec
    warnings: tuple[str, ...]
