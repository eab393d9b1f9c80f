"""Another host's status document, read with care: of any version, and of whoever could write to Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct


class JobInHand(Struct, frozen=True):
    """The oldest job of a worker."""

    id: str | None = None
    name: str | None = None
    queue: str | None = None
    started_at: float | None = None


class WorkerThere(Struct, frozen=True):
    """A run, or a slot that waits for one."""

    name: str
    state: str = "unknown"
    pid: int | None = None
    healthy: bool = False
    epoch: int | None = None
    job: JobInHand | None = None


class PoolThere(Struct, frozen=True):
    """A pool on that host."""

    name: str
    state: str = "unknown"
    paused: bool = False
    numprocs: int = 0
    workers: tuple[WorkerThere, ...] = ()

    @property
    def healthy(self) -> int:
        """How many workers run and are healthy."""
        return sum(worker.healthy and worker.state == "running" for worker in self.workers)


class FleetThere(Struct, frozen=True):
    """The fleet as that host knows it."""

    name: str = ""
    epoch: int | None = None


class HostDocument(Struct, frozen=True):
    """What of the document is needed here; fields that are not known are left out."""

    instance: str
    host: str
    state: str = "unknown"
    version: str = ""
    fleet: FleetThere | None = None
    pools: tuple[PoolThere, ...] = ()


def read(document: Mapping[str, Any] | None) -> HostDocument | None:
    """The document, None where it is none."""
    try:
        return None if document is None else msgspec.convert(document, HostDocument)
    except msgspec.ValidationError:
        return None
