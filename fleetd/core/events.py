"""What happened: the only things that make the core act.

An event about a run that the core does not know is ignored by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from fleetd.core.incident import Shared, Told
from fleetd.core.queues import Depth
from fleetd.core.records import Counters, Remembered, RunRecord
from fleetd.core.rollout import Rollout
from fleetd.core.spec import Bytes, FleetSpec, LineMeaning, Seconds

RunId = str


class Target(Struct, frozen=True):
    """A pool, or one worker of it."""

    pool: str
    slot: int | None = None


# -- what the operator asked for -------------------------------------------------------------------------------------


class SpecChanged(Struct, frozen=True):
    """The pool files were read: at the start, and by `reload`; `roll` is the id of the rollouts that follow."""

    spec: FleetSpec
    roll: int = 0


class StartRequested(Struct, frozen=True):
    """`fleetd start TARGET`: lift a stop, try again at once after a backoff or a give-up."""

    targets: tuple[Target, ...]


class StopRequested(Struct, frozen=True):
    """`fleetd stop TARGET`: drain and stay stopped until started, also over a restart of the daemon."""

    targets: tuple[Target, ...]
    now: bool = False


class ShutdownRequested(Struct, frozen=True):
    """Drain everything, then end the daemon; a second one, or `now`, does not wait for jobs."""

    now: bool = False


class RestartRequested(Struct, frozen=True):
    """Roll the targets onto new code; `roll` is the id by which the requester follows it."""

    roll: int
    targets: tuple[Target, ...]
    now: bool = False
    label: str | None = None


class ScaleRequested(Struct, frozen=True):
    """Change numprocs now, remembered until the file's numprocs changes."""

    pool: str
    numprocs: int


class PauseRequested(Struct, frozen=True):
    """Take no new jobs."""

    targets: tuple[Target, ...]


class ResumeRequested(Struct, frozen=True):
    """Go on after a pause."""

    targets: tuple[Target, ...]


# -- what became of runs ---------------------------------------------------------------------------------------------


class Restored(Struct, frozen=True):
    """What an earlier daemon of this instance left: comes once, before the first SpecChanged.

    `runs` are those that are still held or alive; one that ended meanwhile is followed by its Exited.
    """

    remembered: Remembered
    runs: tuple[RunRecord, ...] = ()
    counted: Mapping[str, Counters] = field(default_factory=dict)  # by pool, as the journal has them


class Spawned(Struct, frozen=True):
    """The process runs; `directory` is what the working directory resolved to.

    Without a pid it did run: its Exited follows.
    """

    run: RunId
    pid: int | None
    directory: str


class SpawnFailed(Struct, frozen=True):
    """The process could not be started; `error` says what and where, for a person."""

    run: RunId
    error: str


class Exited(Struct, frozen=True):
    """The main process ended, its output was read and what it started is gone (`leftover`: pids that are not)."""

    run: RunId
    code: int | None
    signal: int | None
    oom: bool = False
    last_lines: tuple[str, ...] = ()
    leftover: tuple[int, ...] = ()


class Source(StrEnum):
    """Where a report about jobs came from: the first message on the socket makes it a run's only source."""

    SOCKET = "socket"
    OUTPUT = "output"


class JobReported(Struct, frozen=True):
    """A job started, was done, failed or was released (never READY)."""

    run: RunId
    meaning: LineMeaning
    source: Source
    id: str | None = None
    name: str | None = None
    queue: str | None = None
    runtime: Seconds | None = None
    enqueued_at: float | None = None  # Unix seconds
    process: int | None = None  # the pid that tells, where its end will be told: see ProcessGone


class ProcessGone(Struct, frozen=True):
    """A process that told of a job's start has ended, and all that it said was heard."""

    run: RunId
    process: int


class SaidReady(Struct, frozen=True):
    """READY=1 on the socket, or the framework's ready line in the output."""

    run: RunId
    source: Source


class SignalLost(Struct, frozen=True):
    """The output tells that the worker has not heard the signal by which it was to end."""

    run: RunId


class SaidStatus(Struct, frozen=True):
    """STATUS=…"""

    run: RunId
    text: str


class SaidStopping(Struct, frozen=True):
    """STOPPING=1"""

    run: RunId


class SaidAlive(Struct, frozen=True):
    """WATCHDOG=1"""

    run: RunId


class AskedForTime(Struct, frozen=True):
    """EXTEND_TIMEOUT_USEC=…: the start or stop timeout ends no sooner than this many seconds from now."""

    run: RunId
    extend: Seconds


class MemorySampled(Struct, frozen=True):
    """Resident memory of runs whose pools have `max-memory`."""

    rss: Mapping[RunId, Bytes]


# -- what became of the brokers --------------------------------------------------------------------------------------


class QueuesRead(Struct, frozen=True):
    """A broker was read, or could not be (`error` says why, for a person); depths by pool and queue."""

    broker: str
    depths: Mapping[str, Mapping[str, Depth]] = field(default_factory=dict)
    error: str | None = None


# -- what became of the fleet ----------------------------------------------------------------------------------------


class FleetObserved(Struct, frozen=True):
    """The coordinator answered a beat.

    `epochs` are the texts of the epoch keys that exist; `rollouts` are those that run or are halted, each with this
    host's progress only; `turn_until` is on this host's monotonic clock, None without a turn.
    """

    clock: float  # the coordinator's, in Unix seconds
    epochs: Mapping[str, str] = field(default_factory=dict)
    rollouts: tuple[Rollout, ...] = ()
    paused: frozenset[str] = frozenset()
    incarnation: str = ""
    turn_until: Seconds | None = None
    held_by_other: bool = False  # another daemon has this member's name: the rest is empty
    incidents: Mapping[str, Shared] = field(default_factory=dict)  # by key


class FleetLost(Struct, frozen=True):
    """The coordinator does not answer."""

    error: str


# -- what became of alerts -------------------------------------------------------------------------------------------


class OutputJudged(Struct, frozen=True):
    """A run's output is dropped from now on, and why; or (`error` is empty) is written again."""

    run: RunId
    error: str


class AlertTold(Struct, frozen=True):
    """A message about an incident was delivered, or it was tried for long enough."""

    key: str
    told: Told


class Tick(Struct, frozen=True):
    """A deadline that the core asked for has passed."""


Event = (
    SpecChanged
    | StartRequested
    | StopRequested
    | ShutdownRequested
    | RestartRequested
    | ScaleRequested
    | PauseRequested
    | ResumeRequested
    | Restored
    | Spawned
    | SpawnFailed
    | Exited
    | JobReported
    | ProcessGone
    | SaidReady
    | SignalLost
    | SaidStatus
    | SaidStopping
    | SaidAlive
    | AskedForTime
    | MemorySampled
    | QueuesRead
    | FleetObserved
    | FleetLost
    | OutputJudged
    | AlertTold
    | Tick
)
