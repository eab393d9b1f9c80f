"""The picture of a host that everybody else sees: `status --json`, and all that is rendered from it.

The structs are the document of the contract, field by field.  A fact that is not known is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from msgspec import Struct, to_builtins

from fleetd.core.figures import Figures
from fleetd.core.health import is_expected, is_lost, is_up
from fleetd.core.membership import Membership
from fleetd.core.queues import UNKNOWN
from fleetd.core.roll import Roll
from fleetd.core.state import LastExit, Moment, Phase, Pool, Run, Slot, State
from fleetd.core.waits import wait_of
from fleetd.views.control_characters import made_visible
from fleetd.views.incidents import IncidentView, open_incidents
from fleetd.views.lately import Lately, lately

SCHEMA = 1
MOST_CLASSES = 20  # of jobs that a picture shows: those with the most jobs


class Sample(Struct, frozen=True):
    """What was measured of a process: memory in bytes, CPU in percent of a core, bytes of output that were dropped."""

    rss: int | None = None
    cpu: float | None = None
    output_dropped: int = 0


class Identity(Struct, frozen=True):
    """Who the daemon is."""

    instance: str
    host: str
    pid: int
    version: str
    started_at: float


class JobView(Struct, frozen=True):
    """The oldest job in hand."""

    id: str | None
    name: str | None
    queue: str | None
    started_at: float


class ExitView(Struct, frozen=True):
    """How the last run of a slot ended."""

    code: int | None
    signal: int | None
    reason: str
    at: float


class WorkerView(Struct, frozen=True):
    """A run, or a slot that waits for one."""

    name: str
    slot: int
    run: str | None
    pid: int | None
    state: str
    healthy: bool
    busy: bool | None
    epoch: int | None
    directory: str | None
    started_at: float | None
    jobs_done: int | None
    jobs_failed: int | None
    starts: int
    rss: int | None
    cpu: float | None
    output_dropped: int
    jobs_in_hand: int | None
    job: JobView | None
    last_exit: ExitView | None
    status: str | None
    crash_loop: bool  # it ended unplanned again and again, or is not started any more for that


class JobsView(Struct, frozen=True):
    """A pool's jobs since it was first seen; runtimes in seconds, of the last few hundred jobs."""

    done: int | None
    failed: int | None
    per_minute: float | None
    runtime_avg: float | None
    runtime_p95: float | None
    wait_p95: float | None
    by_minute: tuple[int, ...] | None  # that ended in each of the last minutes, 60 if so many were seen; not of a class
    failed_lately: int | None  # in those minutes


UNTOLD = JobsView(None, None, None, None, None, None, None, None)


class QueueView(Struct, frozen=True):
    """A queue as its broker shows it (`due`: delayed jobs whose time has come); `jobs` are those that this pool had."""

    name: str
    ready: int | None
    delayed: int | None
    due: int | None
    reserved: int | None
    oldest_age: float | None
    wait: float | None
    wait_source: str | None
    jobs: JobsView
    all_jobs: JobsView | None  # on all hosts, as the broker tells since it is read; None: it does not


class ClassView(Struct, frozen=True):
    """A class of jobs: all that have one name."""

    name: str
    jobs: JobsView


class BrokerView(Struct, frozen=True):
    """A broker that queues are read in; `error` says why it cannot be.  Before it was tried, nothing is known."""

    name: str
    reachable: bool | None
    error: str | None


class RollView(Struct, frozen=True):
    """A rollout that is not over here: `waiting` for its turn, `running` or `halted`; slots, and those rolled."""

    state: str
    total: int
    done: int


class RuntimesView(Struct, frozen=True):
    """How long jobs took since the daemon was started, by `fleetd.core.histogram`'s buckets; the sum in seconds."""

    counts: tuple[int, ...]
    total: float


class PoolView(Struct, frozen=True):
    """A pool and its workers.

    `epoch` is the greatest that applies to its workers, and what they are brought to.  `starts` since the daemon was
    started, by the reason of the exit that led to each, or "first".
    """

    name: str
    framework: str
    state: str
    paused: bool
    numprocs: int
    jobs: JobsView
    broker: str | None
    queues: tuple[QueueView, ...]
    classes: tuple[ClassView, ...]
    workers: tuple[WorkerView, ...]
    epoch: int | None
    rollout: RollView | None
    starts: Mapping[str, int]
    runtimes: RuntimesView | None  # None: nothing tells of its jobs


class FleetView(Struct, frozen=True):
    """The host's place in its fleet; `epoch` is the greatest that applies to a worker here.

    `member` is false where another daemon has its name, or nothing is known yet.
    """

    name: str
    connected: bool
    epoch: int | None
    since: float | None
    member: bool


class Snapshot(Struct, frozen=True):
    """One host at one instant."""

    schema: int
    instance: str
    host: str
    pid: int
    version: str
    state: str
    started_at: float
    fleet: FleetView | None
    brokers: tuple[BrokerView, ...]
    incidents: tuple[IncidentView, ...]
    pools: tuple[PoolView, ...]

    def document(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        document: dict[str, Any] = to_builtins(self)
        return document


def snapshot(
    state: State, now: Moment, identity: Identity, samples: Mapping[str, Sample], pools: frozenset[str] | None = None
) -> Snapshot:
    """The picture of the state now; `pools` narrows it, `samples` are by run."""
    by_pool = lately(state.history, now.unix, state.pools)
    return Snapshot(
        schema=SCHEMA,
        instance=identity.instance,
        host=identity.host,
        pid=identity.pid,
        version=identity.version,
        state="stopping" if state.is_stopping else "running",
        started_at=identity.started_at,
        fleet=None if state.fleet is None else _fleet(state.fleet),
        brokers=tuple(_brokers(state)),
        incidents=open_incidents(state),
        pools=tuple(
            _pool(state, pool, now, samples, by_pool[name])
            for name, pool in state.pools.items()
            if pools is None or name in pools
        ),
    )


def _fleet(membership: Membership) -> FleetView:
    return FleetView(
        name=membership.fleet,
        connected=membership.connected,
        epoch=max(membership.epochs.values(), default=None),
        since=membership.since,
        member=membership.is_known and not membership.held_by_other,
    )


def _brokers(state: State) -> Iterator[BrokerView]:
    read = {pool.spec.broker for pool in state.pools.values() if pool.spec.broker is not None}
    for name in sorted(read):
        error = state.brokers.get(name)
        reachable = error is None if name in state.brokers else None
        yield BrokerView(name, reachable, None if error is None else made_visible(error))


def pool_state(state: State, pool: Pool) -> str:
    """One of the pool states of the contract."""
    slots = pool.slots.values()
    expected = [slot for slot in slots if is_expected(state, pool, slot)]
    is_over = all(slot.stopped or slot.finished for slot in slots) and bool(slots or pool.stopped)
    if state.is_stopping or pool.removed or (is_over and not expected):
        return "stopped" if pool.is_empty else "stopping"
    if pool.is_paused:
        return "paused"
    return "running" if all(is_up(slot) for slot in expected) else "degraded"


def worker_state(state: State, pool: Pool, slot: Slot, run: Run | None) -> str:
    """One of the worker states of the contract."""
    if run is not None:
        return _STATE_OF_PHASE[run.phase]
    if slot.given_up:
        return "given-up"
    if slot.stopped or slot.finished or slot.retiring or pool.removed or state.is_stopping:
        return "stopped"
    return "backoff" if slot.in_backoff else "waiting"


_STATE_OF_PHASE = {
    Phase.SPAWNING: "starting",
    Phase.STARTING: "starting",
    Phase.HEALTHY: "running",
    Phase.DRAINING: "stopping",
    Phase.KILLED: "stopping",
}


def _pool(state: State, pool: Pool, now: Moment, samples: Mapping[str, Sample], hour: Lately) -> PoolView:
    tells, epochs, runtimes = _tells(pool), state.epochs_for_new(pool.name), pool.ledger.runtimes
    return PoolView(
        name=pool.name,
        framework=pool.spec.framework,
        state=pool_state(state, pool),
        paused=pool.is_paused,
        numprocs=pool.numprocs,
        jobs=_jobs(pool.ledger.pool, now, *hour.of_all()) if tells else UNTOLD,
        broker=pool.spec.broker,
        queues=tuple(_queue(pool, name, now, hour) for name in pool.spec.launch.queues),
        classes=tuple(_classes(pool, now)),
        workers=tuple(_workers(state, pool, now, samples)),
        epoch=None if epochs is None else epochs.greatest,
        rollout=_rollout(pool.roll),
        starts=dict(pool.starts),
        runtimes=RuntimesView(tuple(runtimes.counts), round(runtimes.total, 6)) if tells else None,
    )


def _rollout(roll: Roll | None) -> RollView | None:
    return RollView(roll.state, len(roll.scope), roll.done) if roll is not None and roll.is_unfinished else None


def _workers(state: State, pool: Pool, now: Moment, samples: Mapping[str, Sample]) -> Iterator[WorkerView]:
    for _, slot in sorted(pool.slots.items()):
        for run in slot.runs():
            yield _worker(state, pool, slot, run, now, samples.get(run.id, Sample()))
        if slot.run is None and slot.successor is None and not slot.draining:
            yield _worker(state, pool, slot, None, now, Sample())


def _worker(state: State, pool: Pool, slot: Slot, run: Run | None, now: Moment, sample: Sample) -> WorkerView:
    counted = run if run is not None and run.tells_jobs else None
    watched = run if run is not None and run.tells_jobs_in_hand else None
    job = run.oldest_job if run is not None else None
    return WorkerView(
        name=f"{pool.name}:{slot.index}",
        slot=slot.index,
        run=run.id if run else None,
        pid=run.pid if run else None,
        state=worker_state(state, pool, slot, run),
        healthy=run is not None and run.was_healthy,
        busy=watched.is_busy if watched else None,
        epoch=run.release.epoch if run else None,
        directory=run.directory if run else None,
        started_at=run.started_at if run else None,
        jobs_done=counted.jobs_done if counted else None,
        jobs_failed=counted.jobs_failed if counted else None,
        starts=slot.starts,
        rss=sample.rss,
        cpu=sample.cpu,
        output_dropped=sample.output_dropped,
        jobs_in_hand=len(watched.jobs) if watched else None,
        job=None if job is None else JobView(job.id, job.name, job.queue, job.started_at),
        last_exit=_exit(slot.last_exit),
        status=made_visible(run.status_text) if run is not None and run.status_text else None,
        crash_loop=is_lost(pool, slot, now.mono),
    )


def _exit(last: LastExit | None) -> ExitView | None:
    return None if last is None else ExitView(last.code, last.signal, last.reason, last.at)


def _tells(pool: Pool) -> bool:
    """Whether anything tells of the pool's jobs: then 0 is a number, and not a lack of one."""
    told = any(run.tells_jobs for slot in pool.slots.values() for run in slot.runs())
    return pool.spec.reports_jobs or told or not pool.ledger.pool.is_empty


def _jobs(
    figures: Figures, now: Moment, by_minute: tuple[int, ...] | None = None, failed_lately: int | None = None
) -> JobsView:
    return JobsView(
        done=figures.done,
        failed=figures.failed,
        per_minute=float(figures.per_minute(now.mono)),
        runtime_avg=None if figures.runtime is None else round(figures.runtime, 6),
        runtime_p95=_p95(figures.runtimes),
        wait_p95=_p95(figures.waits),
        by_minute=by_minute,
        failed_lately=failed_lately,
    )


def _p95(values: Sequence[float]) -> float | None:
    """The smallest that 95 in 100 are not above; None without any."""
    return round(sorted(values)[ceil(0.95 * len(values)) - 1], 6) if values else None


def _queue(pool: Pool, name: str, now: Moment, hour: Lately) -> QueueView:
    depth = pool.depths.get(name, UNKNOWN)
    figures, flow = pool.ledger.queues.get(name), pool.flows.get(name)
    wait = wait_of(pool, name, now)
    age = None if depth.oldest_at is None else round(max(0.0, now.unix - depth.oldest_at), 3)
    return QueueView(
        name=name,
        ready=depth.ready,
        delayed=depth.delayed,
        due=depth.due,
        reserved=depth.reserved,
        oldest_age=age,
        wait=None if wait is None else round(wait.seconds, 3),
        wait_source=None if wait is None else wait.source,
        jobs=UNTOLD if figures is None else _jobs(figures, now, *hour.of(name)),
        all_jobs=None if flow is None else _jobs(flow, now),
    )


def _classes(pool: Pool, now: Moment) -> Iterator[ClassView]:
    told = [(name, figures) for name, figures in pool.ledger.classes.items() if not figures.is_empty]
    for name, figures in sorted(told, key=lambda row: -sum(row[1].tally))[:MOST_CLASSES]:
        yield ClassView(name, _jobs(figures, now))
