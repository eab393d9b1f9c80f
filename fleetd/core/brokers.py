"""What the brokers tell of the queues, and when one of them is out of reach."""

from __future__ import annotations

from collections import Counter

from fleetd.core.effects import Announce
from fleetd.core.events import QueuesRead
from fleetd.core.facts import Fact, Kind
from fleetd.core.figures import row
from fleetd.core.queues import UNKNOWN, Still
from fleetd.core.spec import FleetSpec
from fleetd.core.state import Pool, State
from fleetd.core.turn import Turn


def observe(turn: Turn, event: QueuesRead) -> None:
    """Take over what was read; of a broker out of reach nothing is known, which is not the same as empty queues."""
    state = turn.state
    for pool in state.pools.values():
        if pool.spec.broker == event.broker:
            pool.depths = dict(event.depths.get(pool.name, {}))
            _count_flows(turn, pool)
            _see_what_stands(turn, pool)
    was_lost = state.brokers.get(event.broker) is not None
    state.brokers[event.broker] = event.error
    if event.error is None and was_lost:
        turn.emit(Announce(Fact(Kind.BROKER_REACHED, fields={"broker": event.broker})))
    if event.error is not None and not was_lost:
        turn.emit(Announce(Fact(Kind.BROKER_LOST, fields={"broker": event.broker, "error": event.error})))


def _count_flows(turn: Turn, pool: Pool) -> None:
    """Add up what brokers tell of jobs that ended, whoever worked on them."""
    for queue, depth in pool.depths.items():
        if depth.ended is not None:
            flow = pool.flows.setdefault(queue, row())
            for job in depth.ended:
                flow.end(job.runtime, turn.now.mono, failed=job.failed)


def _see_what_stands(turn: Turn, pool: Pool) -> None:
    """Note since when each queue stands still; while its broker is out of reach, nothing is seen to move."""
    now = turn.now.mono
    runs = (run for slot in pool.slots.values() for run in slot.runs())
    here = Counter(job.queue for run in runs for job in run.jobs.values())
    for queue, depth in pool.depths.items():
        still = pool.still.pop(queue, Still(now, UNKNOWN)).after(depth, now, here[queue])
        if still is not None:
            pool.still[queue] = still


def forget_changed(state: State, spec: FleetSpec) -> None:
    """Of a broker whose table has changed, or is gone, nothing is known until it is read."""
    before = {} if state.spec is None else state.spec.brokers
    for name in [name for name in state.brokers if before.get(name) != spec.brokers.get(name)]:
        del state.brokers[name]
        for pool in state.pools.values():
            if pool.spec.broker == name:
                pool.forget_queues()
