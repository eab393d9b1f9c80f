"""How long jobs wait in the queues of a pool, as far as anything tells."""

from __future__ import annotations

from fleetd.core.queues import UNKNOWN, Waiting, waiting
from fleetd.core.state import Moment, Pool


def wait_of(pool: Pool, queue: str, now: Moment) -> Waiting | None:
    """How long the next job of a queue has waited, or will have; None: nothing tells."""
    figures, flow = pool.ledger.queues.get(queue), pool.flows.get(queue)
    runtimes = (each.runtime for each in (figures, flow, pool.ledger.pool) if each is not None)
    runtime = next((runtime for runtime in runtimes if runtime is not None), None)
    hands = sum(slot.takes_jobs for slot in pool.slots.values()) * (pool.spec.jobs_at_once or 1)
    rate = max((each.per_minute(now.mono) / 60 for each in (figures, flow) if each is not None), default=0.0)
    return waiting(pool.depths.get(queue, UNKNOWN), now.unix, runtime, hands, rate)
