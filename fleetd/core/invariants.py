"""What must be true of the state after every step, in words (promise P1, and the budgets of a pool).

Nothing in the product depends on it: tests ask it, and so may whoever hunts a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleetd.core import deadlines, reconcile
from fleetd.core.roll import RollState
from fleetd.core.state import Phase, Pool, Run, Slot, State

MOST_RUNS = 2  # of one slot: the one that takes jobs, and one that comes or goes


def violations(state: State) -> list[str]:
    """Every promise that the state breaks, one line each; empty when all is well."""
    return [*_of_runs(state), *(line for pool in state.pools.values() for line in _of_pool(state, pool))]


def _of_runs(state: State) -> Iterator[str]:
    placed = [run for pool in state.pools.values() for slot in pool.slots.values() for run in slot.runs()]
    if len({run.id for run in placed}) != len(placed):
        yield "a run stands in two places"
    if {run.id for run in placed} != state.runs.keys():
        yield "a run is lost: the slots and the list of runs differ"
    if state.is_finished and state.runs:
        yield "the daemon is to end while runs are left"


def _of_pool(state: State, pool: Pool) -> Iterator[str]:
    for index, slot in pool.slots.items():
        for line in _of_slot(state, pool, slot):
            yield f"{pool.name}:{index}: {line}"
    for line in (*_of_indexes(state, pool), *_of_roll(pool)):
        yield f"{pool.name}: {line}"


def _of_slot(state: State, pool: Pool, slot: Slot) -> Iterator[str]:
    runs = list(slot.runs())
    if any((run.pool, run.slot) != (pool.name, slot.index) for run in runs):
        yield "holds a run of another slot"
    if (processes := sum(not run.is_over for run in runs)) > MOST_RUNS:
        yield f"has {processes} processes"
    if any(_is_being_drained(run) for run in (slot.run, slot.successor) if run is not None):
        yield "a run that is being drained stands where jobs are taken"
    if not all(run.is_leaving or run.is_over for run in slot.draining):
        yield "a run among the draining ones neither was asked to end nor is over"
    if any(run.is_leaving and run.kill_at is None and run.phase is not Phase.KILLED for run in runs):
        yield "a run was asked to end, and nothing will end it if it does not obey"
    if _waits_for_nothing(state, pool, slot):
        yield "is empty, and nothing will fill it"
    due = deadlines.next_of(pool, slot)
    if due is not None and (slot.armed is None or slot.armed > due):
        yield "has a deadline that nobody will be woken for"
    counting = [entry for entry in state.deadlines if entry == (slot.armed, pool.name, slot.index)]
    if slot.armed is not None and not counting:
        yield "its deadline is not in the heap"


def _is_being_drained(run: Run) -> bool:
    return run.is_leaving and run.phase is not Phase.KILLED


def _waits_for_nothing(state: State, pool: Pool, slot: Slot) -> bool:
    is_wanted = reconcile.is_wanted(state, pool, slot) and reconcile.gate_is_open(state, pool)
    return is_wanted and slot.is_empty and slot.retry_at is None


def _of_indexes(state: State, pool: Pool) -> Iterator[str]:
    slots = pool.slots.values()
    if pool.alive != sum(1 for slot in slots for _ in slot.runs()):
        yield f"counts {pool.alive} processes, which is wrong"
    without = (s for s in slots if reconcile.is_wanted(state, pool, s) and not s.takes_jobs)
    kept = {
        "without": (pool.without, without),
        "surging": (pool.surging, (s for s in slots if s.successor is not None)),
    }
    for name, (indexes, those) in kept.items():
        if indexes != _indexes(those):
            yield f"its set `{name}` is {sorted(indexes)}, which is wrong"
    if not pool.recycling >= _indexes(s for s in slots if s.recycle is not None):
        yield "a run that is to be replaced is forgotten"
    if sum(1 for slot in slots if not slot.retiring) != pool.numprocs and not pool.removed:
        yield f"has not the {pool.numprocs} slots that it should have"
    if len(pool.surging) > pool.spec.max_surge.of(pool.numprocs):
        yield f"{len(pool.surging)} replacements run beside the old ones, more than max-surge"


def _of_roll(pool: Pool) -> Iterator[str]:
    roll = pool.roll
    if roll is None:
        return
    if not roll.pending <= pool.slots.keys() or any(pool.slots[i].retiring for i in roll.pending & pool.slots.keys()):
        yield "a slot that left waits for its turn in a rollout"
    if not roll.in_place | roll.proven <= roll.active <= roll.pending:
        yield "a slot has its turn in a rollout that does not wait for it"
    if roll.active and not roll.is_open:
        yield "a slot has its turn in a rollout that is over"
    if roll.state is RollState.DONE and roll.pending:
        yield "a rollout is done while slots wait for their turn"
    stuck = {run for run in roll.leaving if not any(run == r.id for s in pool.slots.values() for r in s.draining)}
    if roll.is_open and stuck:
        yield "a rollout waits for a run that is gone"


def _indexes(slots: Iterable[Slot]) -> set[int]:
    return {slot.index for slot in slots}
