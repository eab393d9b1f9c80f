"""What happened: the only things that make the core act.

An event about a run that the core does not know is ignored by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleetd.core.records import Remembered, RunRecord
from fleetd.core.spec import Bytes, FleetSpec, LineMeaning, Seconds

RunId = str


@dataclass(frozen=True, slots=True)
class Target:
    """A pool, or one worker of it."""

    pool: str
    slot: int | None = None


# -- what the operator asked for -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpecChanged:
    """The pool files were read: at the start, and by `reload`; `roll` is the id of the rollouts that follow."""

    spec: FleetSpec
    roll: int = 0


@dataclass(frozen=True, slots=True)
class StartRequested:
    """`fleetd start TARGET`: lift a stop, try again at once after a backoff or a give-up."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class StopRequested:
    """`fleetd stop TARGET`: drain and stay stopped until started, also over a restart of the daemon."""

    targets: tuple[Target, ...]
    now: bool = False


@dataclass(frozen=True, slots=True)
class ShutdownRequested:
    """Drain everything, then end the daemon; a second one, or `now`, does not wait for jobs."""

    now: bool = False


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """Roll the targets onto new code; `roll` is the id by which the requester follows it."""

    roll: int
    targets: tuple[Target, ...]
    now: bool = False
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ScaleRequested:
    """Change numprocs now, remembered until the file's numprocs changes."""

    pool: str
    numprocs: int


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """Take no new jobs."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Go on after a pause."""

    targets: tuple[Target, ...]


# -- what became of runs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """What an earlier daemon of this instance left: comes once, before the first SpecChanged.

    `runs` are those that are still held or alive; one that ended meanwhile is followed by its Exited.
    """

    remembered: Remembered
    runs: tuple[RunRecord, ...] = ()
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # jobs done and failed by pool, in the journal


@dataclass(frozen=True, slots=True)
class Spawned:
    """The process runs; `directory` is what the working directory resolved to."""

    run: RunId
    pid: int
    directory: str


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """The process could not be started; `error` says what and where, for a person."""

    run: RunId
    error: str


@dataclass(frozen=True, slots=True)
class Exited:
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


@dataclass(frozen=True, slots=True)
class JobReported:
    """A job started, was done, failed or was released (never READY)."""

    run: RunId
    meaning: LineMeaning
    source: Source
    id: str | None = None
    name: str | None = None
    queue: str | None = None
    runtime: Seconds | None = None
    enqueued_at: float | None = None  # Unix seconds


@dataclass(frozen=True, slots=True)
class SaidReady:
    """READY=1 on the socket, or the framework's ready line in the output."""

    run: RunId
    source: Source


@dataclass(frozen=True, slots=True)
class SaidStatus:
    """STATUS=…"""

    run: RunId
    text: str


@dataclass(frozen=True, slots=True)
class SaidStopping:
    """STOPPING=1"""

    run: RunId


@dataclass(frozen=True, slots=True)
class SaidAlive:
    """WATCHDOG=1"""

    run: RunId


@dataclass(frozen=True, slots=True)
class AskedForTime:
    """EXTEND_TIMEOUT_USEC=…: the start or stop timeout ends no sooner than this many seconds from now."""

    run: RunId
    extend: Seconds


@dataclass(frozen=True, slots=True)
class MemorySampled:
    """Resident memory of runs whose pools have `max-memory`."""

    rss: Mapping[RunId, Bytes]


@dataclass(frozen=True, slots=True)
class Tick:
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
    | SaidReady
    | SaidStatus
    | SaidStopping
    | SaidAlive
    | AskedForTime
    | MemorySampled
    | Tick
)
