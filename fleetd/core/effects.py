"""What to do: values that the shell carries out, in order, and answers with events."""

from __future__ import annotations

from msgspec import Struct

from fleetd.core.facts import Fact
from fleetd.core.incident import Message
from fleetd.core.records import Counters, RunRecord
from fleetd.core.spec import Launch, Seconds


class Spawn(Struct, frozen=True):
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


class Signal(Struct, frozen=True):
    """A signal to the main process only."""

    run: str
    signal: int


class KillTree(Struct, frozen=True):
    """SIGKILL to everything the run started, again until nothing is left."""

    run: str


class Forget(Struct, frozen=True):
    """The run is over and explained: let go of what is held of it."""

    run: str


class Record(Struct, frozen=True):
    """Write down where a run stands (before the Spawn that it announces)."""

    record: RunRecord


class Count(Struct, frozen=True):
    """Write down what the jobs of a pool add up to now: in all, and the queue and the class that changed."""

    pool: str
    counters: Counters


class Remember(Struct, frozen=True):
    """Write down `state.remembered_now()`; `lazily`: within seconds, since a loss of the last ones is bearable."""

    lazily: bool = False


class Announce(Struct, frozen=True):
    """Tell people: the events stream and the daemon's log."""

    fact: Fact


class Notify(Struct, frozen=True):
    """Tell whom the alert of an incident names.  Answered by AlertTold."""

    message: Message


class Finish(Struct, frozen=True):
    """Everything is drained: end the daemon."""


Effect = Spawn | Signal | KillTree | Forget | Record | Count | Remember | Announce | Notify | Finish
