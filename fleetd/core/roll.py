"""A release of a pool, and the pool on its way to one.

Holds no rule: only values, and questions that one value can answer about itself.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from fleetd.core.epochs import Epochs
from fleetd.core.spec import PoolSpec, Seconds


class Release(Struct, eq=False):
    """What a slot is filled from.  A higher generation is a newer one.

    A release is itself and no other; what a reload applies live changes the `spec` of those that have its launch.
    """

    generation: int
    spec: PoolSpec
    epochs: Epochs | None = None  # that its runs are started under; None: not known

    @property
    def epoch(self) -> int | None:
        """The greatest of its epochs, as people see it."""
        return None if self.epochs is None else self.epochs.greatest


class RollState(StrEnum):
    """Where a rollout stands."""

    WAITING = "waiting"  # for this host's turn in the fleet
    RUNNING = "running"
    DONE = "done"
    HALTED = "halted"
    SUPERSEDED = "superseded"


class RollError(Struct, frozen=True):
    """Why a rollout was halted."""

    worker: str
    reason: str
    lines: tuple[str, ...] = ()


class Roll(Struct):
    """One pool on its way to a release.

    `pending`: slots that still go on with what they had; `active`: those of them whose turn it is; `leaving`: old runs
    that are being drained.
    """

    id: int
    release: Release
    scope: frozenset[int]
    pending: set[int]
    began: Seconds
    label: str | None = None
    now: bool = False
    epoch: int | None = None  # of the fleet's rollout that it is part of; None: it is this host's own
    resumes: int = 0  # of that rollout, as far as they were followed
    resumes_at_halt: dict[int, int] = field(default_factory=dict)  # of all open rollouts, when it was halted here
    state: RollState = RollState.RUNNING
    active: set[int] = field(default_factory=set)
    in_place: set[int] = field(default_factory=set)  # of the active ones, those whose old run is drained first
    leaving: set[str] = field(default_factory=set)
    proven: set[int] = field(default_factory=set)  # a first new run ended as planned, having shown that it works
    previous: dict[int, tuple[Release, str | None]] = field(default_factory=dict)
    tried_since: dict[int, Seconds] = field(default_factory=dict)
    has_proof: bool = False  # some slot has come up healthy
    error: RollError | None = None
    halted_elsewhere: bool = False  # by another host, or an operator
    longest_drain: Seconds = 0.0
    ended: Seconds | None = None

    @property
    def is_running(self) -> bool:
        """Whether slots still take turns."""
        return self.state is RollState.RUNNING

    @property
    def is_open(self) -> bool:
        """Whether it is not over: it runs, or waits for this host's turn."""
        return self.state in (RollState.WAITING, RollState.RUNNING)

    @property
    def is_unfinished(self) -> bool:
        """Whether some slot is not rolled, or an old run not gone; a halted one counts, a superseded one does not."""
        return self.is_open or (self.state is RollState.HALTED and bool(self.pending))

    @property
    def done(self) -> int:
        """Slots that are rolled."""
        return len(self.scope) - len(self.pending)
