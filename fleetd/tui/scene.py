"""The documents of a picture, read with care: of any version, and of whoever could write to Redis.

Texts are as they came: whoever draws one makes it visible first (`lines.fitted`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from fleetd.views.picture import Document, Picture

MINUTES = 60  # that are told one by one

MOST = 2**62  # what is more is not meant: it could not be reckoned with, nor written out
Whole = Annotated[int, Meta(ge=-MOST, le=MOST)]

N = TypeVar("N", int, float)


class Shape(StrEnum):
    """What a worker is at, as it is drawn: each has a glyph and a colour of its own."""

    BUSY = "busy"
    IDLE = "idle"
    RUNNING = "running"  # its framework does not tell of jobs in hand
    STARTING = "starting"
    DRAINING = "draining"
    BACKOFF = "backoff"
    WAITING = "waiting"
    STOPPED = "stopped"
    GIVEN_UP = "given up"
    UNKNOWN = "unknown"


class Job(Struct, frozen=True, gc=False):
    """The oldest job in hand."""

    id: str | None = None
    name: str | None = None
    queue: str | None = None
    started_at: float | None = None


class Exit(Struct, frozen=True, gc=False):
    """How the last run of a slot ended."""

    code: Whole | None = None
    signal: Whole | None = None
    reason: str = ""
    at: float | None = None


class Worker(Struct, frozen=True, gc=False):
    """A run, or a slot that waits for one."""

    name: str
    state: str = "unknown"
    run: str | None = None
    pid: Whole | None = None
    healthy: bool = False
    busy: bool | None = None
    epoch: Whole | None = None
    directory: str | None = None
    started_at: float | None = None
    jobs_done: Whole | None = None
    jobs_failed: Whole | None = None
    starts: Whole | None = None
    rss: Whole | None = None
    cpu: float | None = None
    output_dropped: Whole | None = None
    jobs_in_hand: Whole | None = None
    job: Job | None = None
    last_exit: Exit | None = None
    status: str | None = None

    @property
    def shape(self) -> Shape:
        """What it is at."""
        if self.state == "running":
            return _RUNNING[self.busy]
        return _SHAPES.get(self.state, Shape.UNKNOWN)


_RUNNING = {True: Shape.BUSY, False: Shape.IDLE, None: Shape.RUNNING}
_SHAPES: Mapping[str, Shape] = {
    "starting": Shape.STARTING,
    "stopping": Shape.DRAINING,
    "backoff": Shape.BACKOFF,
    "waiting": Shape.WAITING,
    "stopped": Shape.STOPPED,
    "given-up": Shape.GIVEN_UP,
}


class Jobs(Struct, frozen=True, gc=False):
    """Figures of jobs."""

    done: Whole | None = None
    failed: Whole | None = None
    per_minute: float | None = None
    runtime_avg: float | None = None
    runtime_p95: float | None = None
    wait_p95: float | None = None
    by_minute: tuple[Whole, ...] | None = None


UNTOLD = Jobs()


class Queue(Struct, frozen=True):
    """A queue as its broker shows it."""

    name: str
    ready: Whole | None = None
    delayed: Whole | None = None
    due: Whole | None = None
    reserved: Whole | None = None
    oldest_age: float | None = None
    wait: float | None = None
    wait_source: str | None = None
    jobs: Jobs = UNTOLD


class Broker(Struct, frozen=True):
    """A broker that queues are read in."""

    name: str
    reachable: bool | None = None
    error: str | None = None


class Pool(Struct, frozen=True):
    """A pool and its workers."""

    name: str
    framework: str = ""
    state: str = "unknown"
    paused: bool = False
    numprocs: Whole = 0
    jobs: Jobs = UNTOLD
    broker: str | None = None
    queues: tuple[Queue, ...] = ()
    workers: tuple[Worker, ...] = ()


class Membership(Struct, frozen=True):
    """The fleet as a host knows it."""

    name: str = ""
    connected: bool = False
    epoch: Whole | None = None
    since: float | None = None
    member: bool = True


class HostDocument(Struct, frozen=True):
    """What `status --json` says of a host."""

    instance: str
    host: str
    state: str = "unknown"
    pid: Whole | None = None
    version: str = ""
    started_at: float | None = None
    fleet: Membership | None = None
    brokers: tuple[Broker, ...] = ()
    pools: tuple[Pool, ...] = ()
    # of a fleet's hosts only
    name: str | None = None
    last_seen: float | None = None
    live: bool = True


class Crew(Struct, frozen=True):
    """A pool on a host, with its workers counted."""

    host: Host
    pool: Pool
    shapes: tuple[Shape, ...]
    tally: Mapping[Shape, int]

    @property
    def healthy(self) -> int:
        """How many workers run and are healthy."""
        return sum(worker.healthy and worker.state == "running" for worker in self.pool.workers)


class Flow(Struct, frozen=True):
    """A queue of a pool, on all hosts; `error` says why its broker cannot be read."""

    pool: str
    queue: Queue
    error: str | None = None


class Host(Struct, frozen=True):
    """A host; `document` is None where it published nothing that can be read."""

    name: str  # HOST/INSTANCE in a fleet, else HOST
    host: str
    document: HostDocument | None
    live: bool = True
    last_seen: float | None = None


class Failure(Struct, frozen=True):
    """What a rollout was halted by on a host."""

    worker: str | None = None
    reason: str | None = None


class HostRollout(Struct, frozen=True):
    """Where a host stands in a rollout."""

    name: str = ""
    state: str = ""
    done: Whole = 0
    total: Whole = 0
    error: Failure | None = None


class Rollout(Struct, frozen=True):
    """A restart of the fleet."""

    epoch: Whole
    state: str = ""
    at: float | None = None
    ended: float | None = None
    who: str | None = None
    label: str | None = None
    halted_by: str | None = None
    hosts: tuple[HostRollout, ...] = ()

    @property
    def is_under_way(self) -> bool:
        """Whether something is left to do, or to decide."""
        return self.state in {"running", "halted"}


class Scene(Struct, frozen=True):
    """A picture that was read."""

    seen_at: float
    fleet: str | None
    trouble: str | None
    hosts: tuple[Host, ...] = ()
    crews: tuple[Crew, ...] = ()
    flows: tuple[Flow, ...] = ()
    rollouts: tuple[Rollout, ...] = ()

    @property
    def epoch(self) -> int | None:
        """The greatest epoch that a live host knows."""
        told = (host.document for host in self.hosts if host.live and host.document is not None)
        known = [each.fleet.epoch for each in told if each.fleet is not None and each.fleet.epoch is not None]
        return max(known, default=None)

    def crew(self, host: str | None, pool: str | None) -> Crew | None:
        """A pool on a host by their names."""
        found = (crew for crew in self.crews if crew.pool.name == pool and crew.host.name == host)
        return next(found, None)

    def host(self, name: str | None) -> Host | None:
        """A host by its name."""
        return next((host for host in self.hosts if host.name == name), None)


def read(picture: Picture) -> Scene:
    """The picture's documents as values; what cannot be read is a host without a document, or is left out."""
    hosts = tuple(_host(document) for document in picture.hosts)
    crews = tuple(crew for host in hosts for crew in _crews(host))
    return Scene(
        seen_at=picture.seen_at,
        fleet=picture.fleet,
        trouble=picture.trouble,
        hosts=hosts,
        crews=crews,
        flows=tuple(_flows(crews)),
        rollouts=tuple(_rollouts(picture.rollouts)),
    )


def _host(document: Document) -> Host:
    try:
        found = msgspec.convert(document, HostDocument)
    except msgspec.ValidationError:
        names = (document.get("name"), document.get("host"))
        name = next((each for each in names if each and isinstance(each, str)), "?")
        seen = document.get("last_seen")
        last_seen = float(seen) if isinstance(seen, (int, float)) and abs(seen) <= MOST else None
        return Host(name, name.partition("/")[0], None, document.get("live") is not False, last_seen)
    return Host(found.name or found.host, found.host, found, found.live, found.last_seen)


def _crews(host: Host) -> Iterator[Crew]:
    for pool in () if host.document is None else host.document.pools:
        shapes = tuple(worker.shape for worker in pool.workers)
        yield Crew(host, pool, shapes, Counter(shapes))


def _rollouts(documents: tuple[Document, ...]) -> Iterator[Rollout]:
    for document in documents:
        try:
            yield msgspec.convert(document, Rollout)
        except msgspec.ValidationError:
            continue


# -- queues on all hosts -----------------------------------------------------------------------------------------------


def _flows(crews: tuple[Crew, ...]) -> Iterator[Flow]:
    """Depths are one broker's, and those of the host that told first; what became of jobs is added up."""
    found: dict[tuple[str, str], list[tuple[Crew, Queue]]] = {}
    for crew in crews:
        if crew.host.live:
            for queue in crew.pool.queues:
                found.setdefault((crew.pool.name, queue.name), []).append((crew, queue))
    for (pool, _), told in found.items():
        queue = next((queue for _, queue in told if queue.ready is not None), told[0][1])
        error = None if queue.ready is not None else next(filter(None, (_unread(crew) for crew, _ in told)), None)
        yield Flow(pool, replace(queue, jobs=_together([each.jobs for _, each in told])), error)


def _unread(crew: Crew) -> str | None:
    brokers = () if crew.host.document is None else crew.host.document.brokers
    return next((each.error for each in brokers if each.name == crew.pool.broker and each.reachable is False), None)


def _together(told: list[Jobs]) -> Jobs:
    if len(told) == 1:
        return told[0]
    timed = [(jobs.runtime_avg, (jobs.done or 0) + (jobs.failed or 0)) for jobs in told if jobs.runtime_avg is not None]
    jobs_timed = sum(count for _, count in timed)
    minutes = [jobs.by_minute[-MINUTES:] for jobs in told if jobs.by_minute is not None]
    longest = max((len(each) for each in minutes), default=0)
    padded = [(0,) * (longest - len(each)) + each for each in minutes]
    return Jobs(
        done=_sum(jobs.done for jobs in told),
        failed=_sum(jobs.failed for jobs in told),
        per_minute=_sum(jobs.per_minute for jobs in told),
        runtime_avg=sum(mean * count for mean, count in timed) / jobs_timed if jobs_timed else None,
        runtime_p95=max((jobs.runtime_p95 for jobs in told if jobs.runtime_p95 is not None), default=None),
        wait_p95=max((jobs.wait_p95 for jobs in told if jobs.wait_p95 is not None), default=None),
        by_minute=tuple(map(sum, zip(*padded, strict=True))) if padded else None,
    )


def _sum(values: Iterable[N | None]) -> N | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None
