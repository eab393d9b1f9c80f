"""What must outlive the daemon: frozen values that the shell writes down and gives back after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, field

from fleetd.core.epochs import Epochs
from fleetd.core.spec import Seconds

Tally = tuple[int, int]  # jobs done, and failed


class Counters(Struct, frozen=True, omit_defaults=True):
    """What the jobs of a pool add up to: in all, and by queue and class of jobs where these are known."""

    total: Tally = (0, 0)
    queues: Mapping[str, Tally] = field(default_factory=lambda: MappingProxyType({}))
    classes: Mapping[str, Tally] = field(default_factory=lambda: MappingProxyType({}))

    def followed_by(self, later: Counters) -> Counters:
        """The same with what was counted later, which may tell of some queues and classes only."""
        return Counters(later.total, {**self.queues, **later.queues}, {**self.classes, **later.classes})


NOTHING = Counters()


class JobRecord(Struct, frozen=True, omit_defaults=True):
    """A job in hand."""

    id: str | None
    name: str | None
    queue: str | None
    started_at: float  # Unix seconds
    process: int | None = None
    may_be_over: bool = False
    started: Seconds | None = None  # monotonic, which the next daemon of this boot has too; None: by an earlier version


class RunRecord(Struct, frozen=True, omit_defaults=True):
    """One run, as the journal knows it.  `generation` tells which roll of the pool it belongs to."""

    run: str
    pool: str
    slot: int
    generation: int
    started_at: float  # Unix seconds
    pid: int | None = None  # None: the intent was written, the process was not confirmed
    directory: str | None = None
    epochs: Epochs | None = None  # that it was started under
    ready: bool = False  # it has said so
    healthy: bool = False
    ending: str | None = None  # the reason for which it was asked to end
    told_to_end: bool | None = None  # its drain signal was sent; None: by a version that did not write it down
    signal_lost: bool = False  # it has told that it has not heard it
    max_jobs: int | None = None  # with its jitter, as drawn at the start
    jitter: float | None = None  # as drawn at the start
    jobs_done: int = 0
    jobs_failed: int = 0
    jobs_released: int = 0
    jobs_by_socket: bool = False
    jobs_in_hand: tuple[JobRecord, ...] = ()
    jobs_finished: tuple[str, ...] = ()  # the last ones: another line may be about them
    tells_starts: bool = False
    paused: bool = False
    ended: bool = False  # never written: said of a run that is given back, and whose Exited follows
    stop_signal: int = 15  # how it is to be ended, should its pool be gone from the files
    stop_timeout: Seconds = 10.0
    spawned: Seconds | None = None  # as a job's `started`


class RollRecord(Struct, frozen=True, omit_defaults=True):
    """A roll that was pending, running or halted: the slots that still go on with what they had."""

    generation: int
    pending: tuple[int, ...]
    halted: bool = False
    error: str | None = None
    directories: tuple[str | None, ...] = ()  # of the pending slots, in their order
    epoch: int | None = None  # of the fleet's rollout that it is part of
    resumes: int = 0
    label: str | None = None
    halted_elsewhere: bool = False
    now: bool = False
    epochs: tuple[Epochs | None, ...] = ()  # of what the pending slots go on with, in their order
    failed: str | None = None  # the worker that halted it
    lines: tuple[str, ...] = ()  # its last ones


class PoolMemory(Struct, frozen=True, omit_defaults=True):
    """What is remembered of one pool: the operator's wishes and the counters."""

    stopped: bool | None = None  # None: as `autostart` says
    slots: tuple[int, ...] = ()  # the numbers in use: scaling in may leave holes
    stopped_slots: tuple[int, ...] = ()
    started_slots: tuple[int, ...] = ()  # started one by one in a stopped pool
    paused: bool = False
    paused_slots: tuple[int, ...] = ()  # paused one by one
    scaled_to: int | None = None
    scaled_from: int | None = None  # the file's numprocs when it was scaled: another value there ends the scaling
    counters: Counters = NOTHING
    generation: int = 0
    epochs: Epochs | None = None  # of the release
    roll: RollRecord | None = None


class FleetMemory(Struct, frozen=True, omit_defaults=True):
    """What is remembered of the fleet; it is worth nothing in another fleet, or on another machine."""

    fleet: str
    machine: str
    epochs: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    paused: tuple[str, ...] = ()
    incarnation: str = ""


class IncidentMemory(Struct, frozen=True, omit_defaults=True):
    """What is remembered of an incident; instants in Unix seconds."""

    alert: str
    word: str
    began_at: float
    pool: str | None = None
    detail: str | None = None
    ended_at: float | None = None
    is_over: bool = False
    count: int = 1
    value: float | None = None
    worker: str | None = None
    error: str | None = None
    told: str = ""
    announced: str = ""
    begun: float | None = None
    is_mine: bool = False


class Remembered(Struct, frozen=True):
    """All that is remembered of an instance."""

    pools: Mapping[str, PoolMemory] = field(default_factory=lambda: MappingProxyType({}))
    fleet: FleetMemory | None = None
    incidents: tuple[IncidentMemory, ...] = ()
