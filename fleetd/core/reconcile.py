"""Making actual meet desired: the rules of a slot and of a pool, applied until nothing changes.

What a run's outcome means for its slot depends on the place it had: the one that takes jobs, a successor, or draining.
"""

from __future__ import annotations

from enum import Enum, auto

from fleetd.core import actions, deadlines, exits, lifecycle, recycle, restarts, rolling, scaling
from fleetd.core.events import Event
from fleetd.core.facts import Kind
from fleetd.core.lifecycle import Outcome
from fleetd.core.spec import Seconds
from fleetd.core.state import Pool, Reason, Run, Slot, State
from fleetd.core.turn import Turn


class Place(Enum):
    """Where in its slot a run stood."""

    RUN = auto()
    SUCCESSOR = auto()
    DRAINING = auto()


# -- outcomes of runs ------------------------------------------------------------------------------------------------


def apply(turn: Turn, run: Run, event: Event) -> None:
    """Let something happen to a run, and draw the consequences for its slot."""
    pool = turn.state.pools[run.pool]
    slot = pool.slots[run.slot]
    outcome = lifecycle.step(turn, pool, slot, run, event)
    turn.touch(pool.name, slot.index)
    if outcome is not None:
        conclude(turn, pool, slot, run, outcome)


def on_time(turn: Turn) -> None:
    """Apply every deadline that has passed."""
    for pool, slot in deadlines.take_due(turn.state, turn.now.mono):
        turn.touch(pool.name, slot.index)
        for run in list(slot.runs()):
            outcome = lifecycle.on_time(turn, pool, slot, run)
            if outcome is not None:
                conclude(turn, pool, slot, run, outcome)


def conclude(turn: Turn, pool: Pool, slot: Slot, run: Run, outcome: Outcome) -> None:
    """Draw the consequences of an outcome for the slot and its pool."""
    match outcome:
        case Outcome.SPAWNED:
            if not pool.is_pinned(slot.index) and slot.run is run:
                slot.directory = run.directory
            rolling.on_spawned(turn, pool, slot, run)
        case Outcome.HEALTHY:
            _on_healthy(turn, pool, slot, run)
        case Outcome.REACHED_MAX_JOBS:
            _on_max_jobs(turn, pool, slot, run)
        case Outcome.ENDED | Outcome.FAILED:
            _on_gone(turn, pool, slot, run, failed=outcome is Outcome.FAILED)


def _on_healthy(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    slot.came_up = True
    if not rolling.on_healthy(turn, pool, slot, run) and slot.successor is run:
        recycle.on_healthy(turn, pool, slot)


def _on_max_jobs(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    if pool.spec.counts_own_jobs or run.is_leaving:
        return
    slot.came_up = True
    rolling.on_max_jobs(turn, pool, slot, run)
    if slot.successor is run:
        actions.leave(turn, pool, slot, run, Reason.MAX_JOBS)
    elif slot.run is run:
        recycle.want(pool, slot, Reason.MAX_JOBS)


def _on_gone(turn: Turn, pool: Pool, slot: Slot, run: Run, *, failed: bool) -> None:
    place = _take_out(turn.state, pool, slot, run)
    turn.must_remember = True
    if place is Place.DRAINING:
        rolling.on_left(turn, pool, run)
        return
    works = not failed and exits.shows_it_works(pool.spec, run)
    slot.came_up = slot.came_up or works
    if rolling.on_ended(turn, pool, slot, run, failed=failed):
        if failed:
            restarts.count_failure(turn, pool, slot, run)
        return
    if place is Place.SUCCESSOR:
        recycle.on_successor_ended(turn, pool, slot, works=works)
        return
    if slot.successor is not None and slot.recycle is not None:
        slot.run, slot.successor = slot.successor, None  # what was to replace it is already on its way
        pool.surging.discard(slot.index)
        recycle.drop(pool, slot)
        if failed:
            restarts.count_failure(turn, pool, slot, run)
        return
    recycle.drop(pool, slot)
    if failed:
        restarts.after_failure(turn, pool, slot, run)
    else:
        restarts.after_end(turn, pool, slot, run)


def _take_out(state: State, pool: Pool, slot: Slot, run: Run) -> Place:
    del state.runs[run.id]
    pool.alive -= 1
    if slot.run is run:
        slot.run = None
        return Place.RUN
    if slot.successor is run:
        slot.successor = None
        pool.surging.discard(slot.index)
        return Place.SUCCESSOR
    slot.draining.remove(run)
    return Place.DRAINING


# -- the fixed point -------------------------------------------------------------------------------------------------


def until_settled(turn: Turn) -> None:
    """Apply the rules to what was touched, until they touch nothing more."""
    while turn.dirty:
        touched, turn.dirty = turn.dirty, {}
        turn.looked_at.update(touched)
        by_pool: dict[str, list[int]] = {}
        for name, index in touched:
            by_pool.setdefault(name, []).append(index)
        for name, indexes in by_pool.items():
            pool = turn.state.pools.get(name)
            if pool is not None:
                _settle(turn, pool, indexes)


def _settle(turn: Turn, pool: Pool, indexes: list[int]) -> None:
    slots = [pool.slots[i] for i in indexes if i in pool.slots]
    for slot in slots:
        _leave_if_unwanted(turn, pool, slot)
    if pool.fills_after_exit:  # a slot that left by itself takes its turn before it is refilled
        _index(turn, pool, slots)
        rolling.step(turn, pool)
    for slot in slots:
        fill(turn, pool, slot)
        _pause_or_resume(turn, pool, slot)
    _index(turn, pool, slots)
    if not pool.fills_after_exit:
        rolling.step(turn, pool)
    recycle.step(turn, pool)
    for slot in slots:
        deadlines.arm(turn.state, pool, slot)
        scaling.retire_if_empty(turn, pool, slot)
    _note_health(turn, pool)
    if pool.is_empty and (turn.state.is_stopping or pool.removed):
        _note_gone(turn, pool)


def _index(turn: Turn, pool: Pool, slots: list[Slot]) -> None:
    """Keep the sets of slots that should take jobs and do not, or never did."""
    for slot in slots:
        wanted = is_wanted(turn.state, pool, slot)
        _keep(pool.without, slot.index, isin=wanted and not slot.takes_jobs)
        _keep(pool.unproven, slot.index, isin=(wanted or slot.given_up) and not slot.came_up)


def _keep(indexes: set[int], index: int, *, isin: bool) -> None:
    if isin:
        indexes.add(index)
    else:
        indexes.discard(index)


# -- rules of a slot -------------------------------------------------------------------------------------------------


def is_paused(pool: Pool, slot: Slot) -> bool:
    """Whether the slot's workers are to take no new job."""
    return pool.is_paused or slot.paused


def is_wanted(state: State, pool: Pool, slot: Slot) -> bool:
    """Whether the slot should have a worker that takes jobs, if nothing stands in the way."""
    held = is_paused(pool, slot)
    over = slot.finished or slot.given_up
    return not (state.is_stopping or pool.removed or slot.stopped or slot.retiring or held or over)


def unwanted_because(state: State, pool: Pool, slot: Slot) -> Reason | None:
    """Why the slot's workers are to leave; None: they may stay."""
    if slot.retiring:
        return Reason.SCALE
    if slot.stopped or pool.removed or (state.is_stopping and may_stop(state, pool)):
        return Reason.STOP
    if is_paused(pool, slot) and not pool.spec.can_pause:
        return Reason.STOP
    return None


def _leave_if_unwanted(turn: Turn, pool: Pool, slot: Slot) -> None:
    reason = unwanted_because(turn.state, pool, slot)
    if reason is None:
        return
    timeout: Seconds | None = actions.NOW_TIMEOUT if turn.state.stops_now else None
    for run in list(slot.runs()):
        if run not in slot.draining:
            actions.leave(turn, pool, slot, run, reason, timeout)
    recycle.drop(pool, slot)
    slot.came_up = False
    if not turn.state.is_stopping:  # the next daemon goes on with what is not rolled
        rolling.on_unwanted(pool, slot, is_held=reason is Reason.STOP and not pool.removed)


def _pause_or_resume(turn: Turn, pool: Pool, slot: Slot) -> None:
    """Of workers that obey a signal for it: the others leave (`unwanted_because`)."""
    for run in slot.runs():
        if is_paused(pool, slot):
            actions.pause(turn, run)
        else:
            actions.resume(turn, run)


def fill(turn: Turn, pool: Pool, slot: Slot) -> None:
    """Start a worker in a slot that wants one and has none, if nothing stands in the way."""
    if slot.run is not None or not is_wanted(turn.state, pool, slot) or not gate_is_open(turn.state, pool):
        return
    roll = pool.roll
    in_place = roll is not None and roll.is_open and slot.index in roll.in_place
    by_now = roll is not None and roll.now and any(run.id in roll.leaving for run in slot.draining)
    waits_for_exit = pool.fills_after_exit or (in_place and by_now)
    if slot.draining and (waits_for_exit or slot.successor is not None or len(slot.draining) > 1):
        return
    if slot.retry_at is not None and turn.now.mono < slot.retry_at:
        return
    if in_place and roll is not None:
        slot.run = rolling.spawn_new(turn, pool, slot, roll)
    else:
        directory = slot.directory if pool.is_pinned(slot.index) else None
        slot.run = actions.spawn(turn, pool, slot, slot.release, directory)


# -- rules between pools ---------------------------------------------------------------------------------------------


def gate_is_open(state: State, pool: Pool) -> bool:
    """Whether every pool that this one comes after has been healthy."""
    return all(name not in state.pools or state.pools[name].came_up for name in pool.spec.after)


def may_stop(state: State, pool: Pool) -> bool:
    """Whether every pool that comes after this one is gone: stopping goes the other way round."""
    if state.stops_now:
        return True
    return all(other.is_empty for other in state.pools.values() if pool.name in other.spec.after)


def _note_health(turn: Turn, pool: Pool) -> None:
    """A pool is up once every slot that should take jobs has come up; those that come after it may start then."""
    if pool.came_up or pool.unproven or pool.stopped or turn.state.is_stopping:
        return
    pool.came_up = True
    _open_gates(turn, pool)


def _open_gates(turn: Turn, pool: Pool) -> None:
    for other in turn.state.pools.values():
        if pool.name in other.spec.after:
            turn.touch_all(other)


def _note_gone(turn: Turn, pool: Pool) -> None:
    """The last process of a pool that is to end is gone: those before it may stop now."""
    if pool.removed:
        del turn.state.pools[pool.name]
        _open_gates(turn, pool)
        turn.must_remember = True
        turn.tell(Kind.POOL_REMOVED, pool.name)
    for name in pool.spec.after:
        before = turn.state.pools.get(name)
        if before is not None and not before.is_empty:
            turn.touch_all(before)
