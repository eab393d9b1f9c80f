"""What is: pools, their slots, and the runs in them.  Changed in place, by the core alone.

Holds no rule: only values, and questions that one value can answer about itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, field

from fleetd.core.chance import Chance
from fleetd.core.epochs import Epochs
from fleetd.core.figures import Figures, Ledger
from fleetd.core.incident import Alerts
from fleetd.core.membership import Membership
from fleetd.core.minutes import History
from fleetd.core.queues import Depth, Still
from fleetd.core.records import Counters, JobRecord, PoolMemory, Remembered, RollRecord, RunRecord
from fleetd.core.roll import Release, Roll, RollState
from fleetd.core.spec import Bytes, FleetSpec, PoolSpec, Seconds

NO_SLOT = -1  # stands for a pool itself among touched slots


class Moment(Struct, frozen=True):
    """Now: monotonic seconds for durations, Unix seconds for people."""

    mono: Seconds
    unix: float


class Phase(StrEnum):
    """Where a run stands."""

    SPAWNING = "spawning"  # ordered, not confirmed
    STARTING = "starting"  # lives, not healthy yet
    HEALTHY = "healthy"
    DRAINING = "draining"  # was asked to end
    KILLED = "killed"  # SIGKILL was sent to all it started


class Reason(StrEnum):
    """Why a run ended: the exit reasons of the contract."""

    EXIT = "exit"
    SIGNAL = "signal"
    MAX_JOBS = "max-jobs"
    MAX_MEMORY = "max-memory"
    MAX_LIFETIME = "max-lifetime"
    JOB_TIMEOUT = "job-timeout"
    RESTART = "restart"
    STOP = "stop"
    SCALE = "scale"
    START_FAILED = "start-failed"
    OOM = "oom"
    WATCHDOG = "watchdog"


class Job(Struct, frozen=True):
    """A job in hand."""

    id: str | None
    name: str | None
    queue: str | None
    started: Seconds
    started_at: float
    process: int | None = None  # that works on it, where its end will be told
    may_be_over: bool = False  # an end of its name, which may be its own, was told since; of a job without an id


class Run(Struct):
    """One life of a worker."""

    id: str
    pool: str
    slot: int
    release: Release
    spawned: Seconds
    started_at: float
    phase: Phase = Phase.SPAWNING
    pid: int | None = None
    directory: str | None = None
    ready_since: Seconds | None = None  # None: has not said so
    was_healthy: bool = False
    is_over: bool = False  # it was taken over after its end, which is about to be told
    ending: Reason | None = None  # why fleetd asked it to end
    told_to_end: bool = False  # the drain signal was sent; taken over without that being known, it may have been
    signal_lost: bool = False  # it has told that it has not heard it
    drain_again_at: Seconds | None = None
    drained_since: Seconds | None = None
    says_stopping: bool = False
    start_by: Seconds = 0.0
    kill_at: Seconds | None = None
    ends_by: Seconds | None = None  # `--now`: kill_at cannot be put off beyond it
    lifetime_ends: Seconds | None = None
    max_jobs: int | None = None
    max_memory: Bytes | None = None
    jitter: float | None = None  # its share of that of max-memory and max-lifetime, from 0 to 1
    alive_since: Seconds | None = None  # the last WATCHDOG=1
    paused: bool = False
    status_text: str | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    lost: dict[str, Job] = field(default_factory=dict)  # the last whose process is gone: released, if nobody tells more
    most_in_hand: int = 0  # that it had at once
    finished: list[str] = field(default_factory=list)  # the last ones
    by_socket: bool = False
    told_before: list[str] = field(default_factory=list)  # counted by the output, and not yet told by the socket too
    tells_starts: bool = False  # has told of a job's start
    jobs_done: int = 0
    jobs_failed: int = 0
    jobs_released: int = 0

    @property
    def worker(self) -> str:
        """Its name, `media:0`."""
        return f"{self.pool}:{self.slot}"

    @property
    def takes_jobs(self) -> bool:
        """Healthy, and not asked to end."""
        return self.phase is Phase.HEALTHY

    @property
    def is_leaving(self) -> bool:
        """Whether it was asked to end, or is being killed."""
        return self.ending is not None

    @property
    def is_busy(self) -> bool:
        """Whether a job is known to be in hand."""
        return bool(self.jobs)

    @property
    def jobs_counted(self) -> int:
        """Jobs that count towards max-jobs."""
        return self.jobs_done + self.jobs_failed + self.jobs_released

    @property
    def oldest_job(self) -> Job | None:
        """The job that is longest in hand."""
        return next(iter(self.jobs.values()), None)

    @property
    def tells_jobs(self) -> bool:
        """Whether it is known to tell of jobs."""
        return self.release.spec.reports_jobs or self.by_socket or self.tells_starts or self.jobs_counted > 0

    @property
    def tells_jobs_in_hand(self) -> bool:
        """Whether it is known to tell of jobs when they start, so that none in hand means none."""
        return self.release.spec.reports_starts or self.by_socket or self.tells_starts

    @property
    def reached_max_jobs(self) -> bool:
        """Whether it has done as many jobs as a run of its pool may."""
        return self.max_jobs is not None and self.jobs_counted >= self.max_jobs

    def record(self) -> RunRecord:
        """What the journal keeps of it."""
        return RunRecord(
            run=self.id,
            pool=self.pool,
            slot=self.slot,
            generation=self.release.generation,
            started_at=self.started_at,
            pid=self.pid,
            directory=self.directory,
            epochs=self.release.epochs,
            ready=self.ready_since is not None,
            healthy=self.was_healthy,
            ending=self.ending,
            told_to_end=self.told_to_end,
            signal_lost=self.signal_lost,
            max_jobs=self.max_jobs,
            jitter=self.jitter,
            jobs_done=self.jobs_done,
            jobs_failed=self.jobs_failed,
            jobs_released=self.jobs_released,
            jobs_by_socket=self.by_socket,
            jobs_in_hand=tuple(
                JobRecord(j.id, j.name, j.queue, j.started_at, j.process, j.may_be_over, j.started)
                for j in self.jobs.values()
            ),
            jobs_finished=tuple(self.finished),
            tells_starts=self.tells_starts,
            paused=self.paused,
            stop_signal=self.release.spec.stop_signal,
            stop_timeout=self.release.spec.stop_timeout,
            spawned=self.spawned,
        )


class LastExit(Struct, frozen=True):
    """How the last run of a slot ended."""

    code: int | None
    signal: int | None
    reason: Reason
    at: float
    error: str | None = None


class Slot(Struct):
    """A numbered place in a pool; outlives its workers."""

    index: int
    release: Release
    run: Run | None = None  # takes the jobs
    successor: Run | None = None  # is to take the place of `run` once it is healthy
    draining: list[Run] = field(default_factory=list)
    directory: str | None = None  # what the last run's working directory resolved to
    stopped: bool = False  # by the operator
    paused: bool = False  # by the operator, this slot alone
    retiring: bool = False  # leaves by scaling in
    finished: bool = False  # ended, and the restart policy wants no other
    given_up: bool = False
    failures: int = 0
    failed_at: list[Seconds] = field(default_factory=list)  # the last ones, as many as `give-up` asks about
    retry_at: Seconds | None = None
    in_backoff: bool = False
    idle_exits: int = 0  # planned exits in a row without a counted job, in under healthy-after
    recycle: Reason | None = None  # the run is to be replaced for this
    recycle_at: Seconds | None = None  # not before
    came_up: bool = False  # a run of it was healthy, or ended as planned after a job, since it was last stopped
    starts: int = 0
    last_start: Seconds | None = None
    last_exit: LastExit | None = None
    last_lines: tuple[str, ...] = ()
    armed: Seconds | None = None  # the instant for which a deadline is in the heap

    @property
    def takes_jobs(self) -> bool:
        """Whether a healthy run is in it."""
        return self.run is not None and self.run.takes_jobs

    @property
    def is_empty(self) -> bool:
        """Whether no process is left of it."""
        return self.run is None and self.successor is None and not self.draining

    @property
    def is_busy(self) -> bool:
        """Whether its run has a job in hand."""
        return self.run is not None and self.run.is_busy

    def runs(self) -> Iterator[Run]:
        """All its runs, the one that takes jobs first."""
        if self.run is not None:
            yield self.run
        if self.successor is not None:
            yield self.successor
        yield from self.draining


class Pool(Struct):
    """One pool and its counters."""

    spec: PoolSpec
    release: Release
    numprocs: int
    slots: dict[int, Slot] = field(default_factory=dict)
    stopped: bool = False
    paused: bool = False  # by the operator
    held: bool = False  # paused by the fleet
    removed: bool = False
    scaled_from: int | None = None  # None: numprocs is the file's
    wish: bool | None = None  # True: stopped by the operator, False: started; None: as autostart says
    came_up: bool = False  # every slot has come up: pools that come after may start
    roll: Roll | None = None
    alive: int = 0  # runs, whatever their place
    starts: dict[str, int] = field(default_factory=dict)  # that this daemon ordered, by what led to each
    ledger: Ledger = field(default_factory=Ledger)
    depths: dict[str, Depth] = field(default_factory=dict)  # of its queues, as far as its broker tells
    still: dict[str, Still] = field(default_factory=dict)  # since a job was last taken, where that shows
    flows: dict[str, Figures] = field(default_factory=dict)  # jobs of its queues on all hosts, as its broker tells
    without: set[int] = field(default_factory=set)  # slots that should take jobs, and do not
    unproven: set[int] = field(default_factory=set)  # slots that should take jobs, and have never come up
    surging: set[int] = field(default_factory=set)  # slots with a successor
    recycling: set[int] = field(default_factory=set)  # slots whose run is to be replaced

    @property
    def name(self) -> str:
        """As in the pool file."""
        return self.spec.name

    @property
    def is_empty(self) -> bool:
        """Whether no process is left of it."""
        return self.alive == 0

    @property
    def is_paused(self) -> bool:
        """Whether it is to take no jobs, whoever wants it so."""
        return self.paused or self.held

    @property
    def fills_after_exit(self) -> bool:
        """Whether a slot's next run waits until the last one is gone (a GPU or a lock cannot be shared)."""
        return self.spec.max_surge.of(self.numprocs) == 0

    def forget_queues(self) -> None:
        """Nothing is known of them any more."""
        self.depths.clear()
        self.still.clear()
        self.flows.clear()

    def is_pinned(self, slot: int) -> bool:
        """Whether the slot goes on with the release it had, whatever the files say now."""
        return self.roll is not None and slot in self.roll.pending

    def memory(self) -> PoolMemory:
        """What is remembered of it."""
        roll = None
        if self.roll is not None and self.roll.pending:
            halted = self.roll.state is RollState.HALTED
            error = self.roll.error
            pending = tuple(sorted(self.roll.pending))
            directories = tuple(self.slots[i].directory for i in pending)
            roll = RollRecord(
                self.roll.release.generation,
                pending,
                halted,
                error.reason if error else None,
                directories,
                self.roll.epoch,
                self.roll.resumes,
                self.roll.label,
                self.roll.halted_elsewhere,
                self.roll.now,
                tuple(self.slots[i].release.epochs for i in pending),
                error.worker if error else None,
                error.lines if error else (),
            )
        return PoolMemory(
            stopped=self.wish,
            slots=tuple(i for i, s in self.slots.items() if not s.retiring),
            stopped_slots=tuple(i for i, s in self.slots.items() if s.stopped and not self.stopped),
            started_slots=tuple(i for i, s in self.slots.items() if not s.stopped and self.stopped),
            paused=self.paused,
            paused_slots=tuple(i for i, s in self.slots.items() if s.paused and not self.paused),
            scaled_to=self.numprocs if self.scaled_from is not None else None,
            scaled_from=self.scaled_from,
            counters=self.ledger.counters(),
            generation=self.release.generation,
            epochs=self.release.epochs,
            roll=roll,
        )


class State(Struct):
    """The whole host, as the core knows it."""

    chance: Chance
    spec: FleetSpec | None = None
    fleet: Membership | None = None  # None: this host runs alone
    pools: dict[str, Pool] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    rolls: dict[int, list[Roll]] = field(default_factory=dict)  # the last ones, by the requester's id
    remembered: dict[str, PoolMemory] = field(default_factory=dict)
    adopted: tuple[RunRecord, ...] = ()
    counted: Mapping[str, Counters] = field(default_factory=dict)  # by pool, as the journal has them
    history: History = field(default_factory=History)
    brokers: dict[str, str | None] = field(default_factory=dict)  # that a read was tried of: why it failed
    deadlines: list[tuple[Seconds, str, int]] = field(default_factory=list)  # a heap: when, pool, slot
    next_paced_start: Seconds = 0.0
    alerts: Alerts = field(default_factory=Alerts)
    is_stopping: bool = False
    stops_now: bool = False
    is_finished: bool = False
    version: int = 0

    def remembered_now(self) -> Remembered:
        """What must outlive the daemon, apart from the runs."""
        pools = {name: pool.memory() for name, pool in self.pools.items() if not pool.removed}
        return Remembered(pools, None if self.fleet is None else self.fleet.memory(), self.alerts.memory())

    def epochs_for_new(self, pool: str) -> Epochs | None:
        """What a worker of the pool that starts now is started under."""
        return None if self.fleet is None else self.fleet.epochs_for_new(pool)
