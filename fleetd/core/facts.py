"""What to tell: the catalogue of the events stream.  Names are public and never renamed silently."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct, field


class Kind(StrEnum):
    """What a fact is about, as noun.verb."""

    DAEMON_STARTED = "daemon.started"
    DAEMON_STOPPING = "daemon.stopping"
    WORKER_STARTED = "worker.started"
    WORKER_HEALTHY = "worker.healthy"
    WORKER_DRAINING = "worker.draining"
    WORKER_DRAIN_REPEATED = "worker.drain-repeated"
    WORKER_KILLED = "worker.killed"
    WORKER_EXITED = "worker.exited"
    WORKER_START_FAILED = "worker.start-failed"
    WORKER_RECYCLED = "worker.recycled"
    WORKER_BACKOFF = "worker.backoff"
    WORKER_CRASH_LOOP = "worker.crash-loop"
    WORKER_GIVEN_UP = "worker.given-up"
    WORKER_SPINNING = "worker.spinning"
    WORKER_ADOPTED = "worker.adopted"
    JOB_INTERRUPTED = "job.interrupted"
    WORKER_LEFTOVER = "worker.leftover"
    PROCESS_STRAYED = "process.strayed"
    OUTPUT_DROPPED = "output.dropped"
    OUTPUT_KEPT = "output.kept"
    TEMPLATE_READY = "template.ready"
    TEMPLATE_THREADED = "template.threaded"
    TEMPLATE_ENDED = "template.ended"
    TEMPLATE_LEAKED = "template.leaked"
    POOL_ADDED = "pool.added"
    POOL_CHANGED = "pool.changed"
    POOL_REMOVED = "pool.removed"
    POOL_STOPPED = "pool.stopped"
    POOL_STARTED = "pool.started"
    POOL_PAUSED = "pool.paused"
    POOL_RESUMED = "pool.resumed"
    POOL_SCALED = "pool.scaled"
    ROLLOUT_STARTED = "rollout.started"
    ROLLOUT_PROGRESS = "rollout.progress"
    ROLLOUT_DONE = "rollout.done"
    ROLLOUT_HALTED = "rollout.halted"
    ROLLOUT_SUPERSEDED = "rollout.superseded"
    ROLLOUT_RESUMED = "rollout.resumed"
    TURN_TAKEN = "turn.taken"
    TURN_ENDED = "turn.ended"
    EPOCH_RAISED = "epoch.raised"
    EPOCH_REFUSED = "epoch.refused"
    QUEUE_LONG_WAIT = "queue.long-wait"
    QUEUE_WAIT_OVER = "queue.wait-over"
    BROKER_LOST = "broker.lost"
    BROKER_REACHED = "broker.reached"
    FLEET_JOINED = "fleet.joined"
    FLEET_LOST = "fleet.lost"
    FLEET_NAME_TAKEN = "fleet.name-taken"
    ALERT_OPENED = "alert.opened"
    ALERT_RECOVERED = "alert.recovered"
    ALERT_FAILED = "alert.failed"


Value = str | int | float | bool | None | tuple[str, ...]


class Fact(Struct, frozen=True):
    """One thing worth telling; the shell adds the time.  `fields` hold plain values only."""

    kind: Kind
    pool: str | None = None
    worker: str | None = None
    fields: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
