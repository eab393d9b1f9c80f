"""How long jobs wait in the queues of a pool, as far as anything tells."""

from __future__ import annotations

from itertools import chain

from fleetd.core.queues import UNKNOWN, Waiting, waiting
from fleetd.core.spec import Seconds
from fleetd.core.state import Moment, Pool


def wait_of(pool: Pool, queue: str, now: Moment) -> Waiting | None:
    """How long the next job of a queue has waited, or will have; None: nothing tells."""
    figures, flow = pool.ledger.queues.get(queue), pool.flows.get(queue)
    runtimes = (each.runtime for each in (figures, flow, pool.ledger.pool) if each is not None)
    runtime = next((runtime for runtime in runtimes if runtime is not None), None)
    hands = sum(slot.takes_jobs for slot in pool.slots.values()) * (pool.spec.jobs_at_once or 1)
    rate = max((each.per_minute(now.mono) / 60 for each in (figures, flow) if each is not None), default=0.0)
    return waiting(pool.depths.get(queue, UNKNOWN), now.unix, runtime, hands, rate, _still(pool, queue, now))


def _still(pool: Pool, queue: str, now: Moment) -> Seconds:
    """For how long no job of a queue was taken and none has ended, as far as its broker and its workers tell.

    A job that does not say of which queue it is may be of any.
    """
    still = pool.still.get(queue)
    if still is None:
        return 0.0
    figures = pool.ledger.queues.get(queue) if pool.ledger.queues else pool.ledger.pool
    ended = () if figures is None else (second for second, _ in list(figures.ended)[-1:])
    runs = (run for slot in pool.slots.values() for run in slot.runs())
    started = (job.started for run in runs for job in run.jobs.values() if job.queue in {queue, None})
    return max(0.0, now.mono - max(chain((still.since,), ended, started)))
