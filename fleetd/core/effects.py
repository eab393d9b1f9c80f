"""What to do: values that the shell carries out, in order, and answers with events."""

from __future__ import annotations

from dataclasses import dataclass

from fleetd.core.facts import Fact
from fleetd.core.records import RunRecord
from fleetd.core.spec import Launch, Seconds


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process.  Answered by Spawned or SpawnFailed, later by Exited.

    `directory` pins the working directory to what an earlier run resolved to; None resolves the Launch's anew.
    """

    run: str
    pool: str
    slot: int
    launch: Launch
    directory: str | None
    epoch: int | None
    max_jobs: int | None  # with its jitter
    generation: int = 0  # of the release: another one is loaded anew
    start_timeout: Seconds = 60.0


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal to the main process only."""

    run: str
    signal: int


@dataclass(frozen=True, slots=True)
class KillTree:
    """SIGKILL to everything the run started, again until nothing is left."""

    run: str


@dataclass(frozen=True, slots=True)
class Forget:
    """The run is over and explained: let go of what is held of it."""

    run: str


@dataclass(frozen=True, slots=True)
class Record:
    """Write down where a run stands (before the Spawn that it announces)."""

    record: RunRecord


@dataclass(frozen=True, slots=True)
class Remember:
    """Write down `state.remembered_now()`; `lazily`: within seconds, since a loss of the last ones is bearable."""

    lazily: bool = False


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell people: the events stream and the daemon's log."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is drained: end the daemon."""


Effect = Spawn | Signal | KillTree | Forget | Record | Remember | Announce | Finish
