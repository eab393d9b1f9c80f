"""Planned replacement of single workers: after max-jobs, above max-memory, past max-lifetime.

Max-jobs drains at once, since every further job is one too many.  The others start the replacement first, within
max-surge; a pool without surge recycles a few at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetd.core import actions, backoff
from fleetd.core.facts import Kind
from fleetd.core.spec import Bytes
from fleetd.core.state import Pool, Reason, Run, Slot
from fleetd.core.turn import Turn

TOO_MUCH = frozenset({Reason.MAX_MEMORY, Reason.MAX_LIFETIME})


def want(pool: Pool, slot: Slot, reason: Reason) -> None:
    """Have the slot's run replaced."""
    if slot.recycle is None or reason is Reason.MAX_JOBS:
        slot.recycle = reason
    pool.recycling.add(slot.index)


def check_memory(turn: Turn, rss: Mapping[str, Bytes]) -> None:
    """Have every worker replaced that is above its max-memory."""
    for run_id, size in rss.items():
        run = turn.state.runs.get(run_id)
        if run is None or run.max_memory is None or size <= run.max_memory:
            continue
        pool = turn.state.pools[run.pool]
        slot = pool.slots[run.slot]
        if slot.run is run:
            want(pool, slot, Reason.MAX_MEMORY)
            turn.touch(pool.name, slot.index)


def step(turn: Turn, pool: Pool) -> None:
    """Start as many replacements as the pool's bounds allow."""
    for index in sorted(pool.recycling):
        slot = pool.slots[index]
        run = slot.run
        if run is None or slot.recycle is None:
            drop(pool, slot)
        elif slot.recycle is Reason.MAX_JOBS:
            if not slot.draining:
                _send_off(turn, pool, slot, run)
        elif not pool.is_pinned(index) or pool.roll is None or not pool.roll.is_open:
            _replace(turn, pool, slot, run)


def _replace(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    waits = slot.recycle_at is not None and slot.recycle_at > turn.now.mono
    if waits or turn.state.is_stopping or slot.successor is not None or slot.draining:
        return
    surge = pool.spec.max_surge.of(pool.numprocs)
    if surge == 0:
        if _under_way(pool) < max(1, pool.spec.max_unavailable.of(pool.numprocs)):
            _send_off(turn, pool, slot, run)
    elif len(pool.surging) < surge:
        directory = slot.directory if pool.is_pinned(slot.index) else None
        slot.successor = actions.spawn(turn, pool, slot, slot.release, directory)
        pool.surging.add(slot.index)


def _under_way(pool: Pool) -> int:
    """Slots that were emptied for this, and have no healthy worker again."""
    return sum(1 for index in pool.without if _was_sent_off(pool.slots[index]))


def _was_sent_off(slot: Slot) -> bool:
    leaving = any(run.ending in TOO_MUCH for run in slot.draining)
    return leaving or (slot.last_exit is not None and slot.last_exit.reason in TOO_MUCH)


def _send_off(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    reason = slot.recycle or Reason.MAX_JOBS
    drop(pool, slot)
    turn.tell(Kind.WORKER_RECYCLED, pool.name, slot.index, {"reason": reason, "pid": run.pid})
    actions.leave(turn, pool, slot, run, reason)
    pool.without.add(slot.index)
    turn.touch(pool.name, slot.index)


def on_healthy(turn: Turn, pool: Pool, slot: Slot) -> None:
    """The replacement is healthy: it takes over, and the old run is drained."""
    old, slot.run, slot.successor = slot.run, slot.successor, None
    pool.surging.discard(slot.index)
    reason = slot.recycle or Reason.MAX_LIFETIME
    drop(pool, slot)
    if slot.run is not None:
        slot.directory = slot.run.directory
    if old is not None:
        turn.tell(Kind.WORKER_RECYCLED, pool.name, slot.index, {"reason": reason, "pid": old.pid})
        actions.leave(turn, pool, slot, old, reason)


def on_successor_ended(turn: Turn, pool: Pool, slot: Slot, *, works: bool) -> None:
    """The replacement is gone before it took over.

    One that ended as planned after a job did come up: the old run leaves, and the next one needs no trial.  Otherwise
    the old run goes on, and it is tried again later.
    """
    if works and slot.run is not None:
        _send_off(turn, pool, slot, slot.run)
        return
    slot.failures += 1
    slot.recycle_at = turn.now.mono + backoff.delay(pool.spec.backoff, slot.failures, turn.state.chance.uniform())


def drop(pool: Pool, slot: Slot) -> None:
    """No replacement is wanted any more."""
    slot.recycle = slot.recycle_at = None
    pool.recycling.discard(slot.index)
