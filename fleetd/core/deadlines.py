"""When something is due: the one place that knows every deadline of a slot, and the heap that orders them.

Deadlines are fields of runs and slots; the heap holds at most the next one of each slot, and what became stale in it is
put right when it comes to the top.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from fleetd.core.spec import PoolSpec, Seconds
from fleetd.core.state import Phase, Pool, Run, Slot, State

FRAMEWORK_GRACE: Seconds = 10.0  # how much later than the framework's own job timeout fleetd's comes


def job_must_end(spec: PoolSpec, run: Run) -> Seconds | None:
    """When fleetd itself ends the oldest job that is in hand for sure."""
    job = next((job for job in run.jobs.values() if not job.may_be_over), None)
    if spec.job_timeout is None or job is None:
        return None
    return job.started + spec.job_timeout + (FRAMEWORK_GRACE if spec.times_own_jobs else 0.0)


def next_deadline(state: State) -> Seconds | None:
    """The monotonic instant at which a Tick is due; None: nothing will happen by itself."""
    slots, alerts = _next_of_slots(state), state.alerts.next
    return slots if alerts is None else alerts if slots is None else min(slots, alerts)


def _next_of_slots(state: State) -> Seconds | None:
    heap = state.deadlines
    while heap:
        when, name, index = heap[0]
        slot = _slot(state, name, index)
        if slot is not None and slot.armed == when:
            due = next_of(state.pools[name], slot)
            if due is not None and due <= when:
                return when
            heapq.heappop(heap)
            slot.armed = None
            arm(state, state.pools[name], slot)
        else:
            heapq.heappop(heap)
    return None


def take_due(state: State, now: Seconds) -> list[tuple[Pool, Slot]]:
    """Take the slots whose deadline has passed out of the heap."""
    due: list[tuple[Pool, Slot]] = []
    heap = state.deadlines
    while heap and heap[0][0] <= now:
        when, name, index = heapq.heappop(heap)
        slot = _slot(state, name, index)
        if slot is not None and slot.armed == when:
            slot.armed = None
            _let_go(slot, now)
            due.append((state.pools[name], slot))
    return due


def _let_go(slot: Slot, now: Seconds) -> None:
    """A wait that is over is no deadline any more, whether or not the rules make use of it."""
    if slot.retry_at is not None and slot.retry_at <= now:
        slot.retry_at = None
    if slot.recycle_at is not None and slot.recycle_at <= now:
        slot.recycle_at = None


def arm(state: State, pool: Pool, slot: Slot) -> None:
    """Put the slot's next deadline into the heap, unless an earlier one of it is there."""
    due = next_of(pool, slot)
    if due is not None and (slot.armed is None or due < slot.armed):
        slot.armed = due
        heapq.heappush(state.deadlines, (due, pool.name, slot.index))


def _slot(state: State, name: str, index: int) -> Slot | None:
    pool = state.pools.get(name)
    return None if pool is None else pool.slots.get(index)


def next_of(pool: Pool, slot: Slot) -> Seconds | None:
    """When the slot's next deadline is; None: nothing will happen to it by itself."""
    instants = [at for run in slot.runs() for at in _of_run(pool, slot, run)]
    instants += [at for at in (slot.retry_at, slot.recycle_at) if at is not None]
    return min(instants, default=None)


def _of_run(pool: Pool, slot: Slot, run: Run) -> Iterator[Seconds]:
    if run.phase in (Phase.SPAWNING, Phase.KILLED):
        return
    overtime = job_must_end(pool.spec, run)
    if overtime is not None:
        yield overtime
    if run.phase is Phase.DRAINING:
        yield from (at for at in (run.kill_at, run.drain_again_at) if at is not None)
    elif run.phase is Phase.STARTING:
        yield run.start_by
        if run.ready_since is not None:
            yield run.ready_since + pool.spec.healthy_after
    elif run.phase is Phase.HEALTHY:
        if pool.spec.watchdog is not None and run.alive_since is not None:
            yield run.alive_since + pool.spec.watchdog
        if run.lifetime_ends is not None and slot.recycle is None:
            yield run.lifetime_ends
