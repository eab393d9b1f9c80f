"""A rollout of the fleet: what was asked for, and how far each host is.

These are the values that hosts and requesters exchange by the coordinator.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from fleetd.core.roll import RollError
from fleetd.core.scope import Scope


class HostState(StrEnum):
    """Where a host stands in a rollout."""

    ASKED = "asked"  # was live at the request, and has not said that it saw it
    WAITING = "waiting"  # has stale workers, and no turn
    ROLLING = "rolling"
    DONE = "done"  # has no stale worker in scope
    HALTED = "halted"  # a worker of it failed


class HostProgress(Struct, frozen=True):
    """How far a host is with a rollout: workers in scope, and how many of them are of the epoch or a later one.

    `resumes` is the rollout's number of resumptions that the host had seen when it wrote this: a failure from before
    the last one does not halt it again.
    """

    state: HostState
    total: int = 0
    done: int = 0
    error: RollError | None = None
    longest_drain: float = 0.0
    resumes: int = 0
    lease_until: float | None = None  # of its turn, on the coordinator's clock; set by the coordinator


class RolloutState(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    DONE = "done"
    HALTED = "halted"
    SUPERSEDED = "superseded"


class Intent(Struct, frozen=True):
    """What is asked for in a rollout, by whom; `request` is the id of the request, "" where there was none.

    `max_parallel_hosts` is what the requester set; None: the strictest among the live members.
    """

    who: str = ""
    label: str | None = None
    scope: Scope = Scope()
    mode: str = "graceful"  # or "now"
    max_parallel_hosts: int | None = None
    request: str = ""


class Rollout(Struct, frozen=True):
    """A rollout as the coordinator has it; `at` is when it was asked for, in Unix seconds."""

    epoch: int
    state: RolloutState
    intent: Intent
    at: float
    max_parallel_hosts: int
    resumes: int = 0
    superseded_by: int | None = None
    halted_by: str | None = None  # HOST/INSTANCE, or who gave the order
    ended: float | None = None
    hosts: Mapping[str, HostProgress] = {}  # by HOST/INSTANCE; in a beat's answer only the member's own


class Report(Struct, frozen=True):
    """What a member tells about a rollout; the intent is for a coordinator that has lost it."""

    intent: Intent
    progress: HostProgress
