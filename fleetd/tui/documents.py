"""What hosts and rollouts say of themselves, read with care: of any version, and of whoever could write to Redis.

Texts are as they came: whoever draws one makes it visible first (`lines.fitted`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

MOST = 2**62  # what is more is not meant: it could not be reckoned with, nor written out
Whole = Annotated[int, Meta(ge=-MOST, le=MOST)]


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
    failed_lately: Whole | None = None


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


class Incident(Struct, frozen=True):
    """Something that is wrong for a while, as alerts see it."""

    event: str
    since: float
    pool: str | None = None
    queue: str | None = None
    broker: str | None = None
    epoch: Whole | None = None
    text: str = ""

    @property
    def subject(self) -> tuple[str, ...]:
        """What it is and what it is about, in words: hosts that have the same have one incident."""
        about = (self.pool, self.queue, self.broker, None if self.epoch is None else f"epoch {self.epoch}")
        return (self.event, *(each for each in about if each is not None))


class PoolRollout(Struct, frozen=True, gc=False):
    """A rollout of a pool on its host that is not over; slots, and those that are rolled."""

    state: str = ""
    total: Whole = 0
    done: Whole = 0


class Pool(Struct, frozen=True):
    """A pool and its workers; `cut`: some of them are not shown, since TARGETs do not name them."""

    name: str
    framework: str = ""
    state: str = "unknown"
    paused: bool = False
    numprocs: Whole = 0
    jobs: Jobs = UNTOLD
    broker: str | None = None
    queues: tuple[Queue, ...] = ()
    workers: tuple[Worker, ...] = ()
    rollout: PoolRollout | None = None
    cut: bool = False


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
    incidents: tuple[Incident, ...] = ()
    pools: tuple[Pool, ...] = ()
    # of a fleet's hosts only
    name: str | None = None
    last_seen: float | None = None
    live: bool = True


class Failure(Struct, frozen=True):
    """What a rollout was halted by on a host, with the last lines of the worker's output."""

    worker: str | None = None
    reason: str | None = None
    lines: tuple[str, ...] = ()


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
