"""Moving a pool to a release: who takes a turn, what a turn's end means, when the rollout is done or halted.

A slot is pending until its new run is healthy; while it is, it is refilled from the release it had (promise P6).
With surge a turn starts a successor beside the old run, which is drained once the successor is healthy.  Without, the
old run is drained first and the new one takes its place ("in place"); then the first slot must come up healthy before
the next is drained.
"""

from __future__ import annotations

from fleetd.core import actions, exits, halting, restarts
from fleetd.core.facts import Kind, Value
from fleetd.core.roll import Release, Roll, RollState
from fleetd.core.rollout import Intent
from fleetd.core.state import NO_SLOT, Pool, Run, Slot, State
from fleetd.core.turn import Turn

KEPT_ROLLS = 20
RETRY_PAUSE = 0.05  # seconds between tries of a new run that ends as planned without having done a job


def begin(
    turn: Turn,
    pool: Pool,
    release: Release,
    slots: set[int],
    roll_id: int,
    *,
    label: str | None = None,
    now: bool = False,
) -> Roll:
    """Start to roll `slots` (and what an unfinished rollout had left) to `release`."""
    roll = _open(turn, pool, release, slots, Roll(roll_id, release, frozenset(), set(), turn.now.mono, label, now))
    if now:
        _take_places(turn, pool, roll)
    return roll


def begin_for_fleet(turn: Turn, pool: Pool, release: Release, slots: set[int], epoch: int, *, intent: Intent) -> Roll:
    """The same as part of a rollout of the fleet: it waits for this host's turn."""
    label, now = intent.label, intent.mode == "now"
    roll = Roll(epoch, release, frozenset(), set(), turn.now.mono, label, now, epoch, state=RollState.WAITING)
    return _open(turn, pool, release, slots, roll)


def _open(turn: Turn, pool: Pool, release: Release, slots: set[int], roll: Roll) -> Roll:
    unfinished = _supersede(turn, pool)
    pool.release = release
    moving = {i for i in slots | unfinished if i in pool.slots and not pool.slots[i].retiring}
    roll.scope = frozenset(moving)
    for index in moving:
        slot = pool.slots[index]
        if slot.run is None and (slot.stopped or slot.last_start is None):
            slot.release = release
        else:
            roll.pending.add(index)
        turn.touch(pool.name, index)
    follow(turn, pool, roll)
    return roll


def follow(turn: Turn, pool: Pool, roll: Roll) -> None:
    """Let this be the pool's roll."""
    pool.roll = roll
    _file(turn.state, roll)
    turn.remember_now()
    told: dict[str, Value] = {"rollout": roll.id, "slots": len(roll.pending), "label": roll.label}
    turn.tell(Kind.ROLLOUT_STARTED, pool.name, fields=told)


def _take_places(turn: Turn, pool: Pool, roll: Roll) -> None:
    for index in sorted(roll.pending - roll.active):
        _take_place(turn, pool, pool.slots[index], roll)


def take_turn(turn: Turn, pool: Pool, roll: Roll) -> None:
    """It is this host's turn in the fleet: slots may be replaced."""
    roll.state = RollState.RUNNING
    if roll.now:
        _take_places(turn, pool, roll)
    turn.touch(pool.name, NO_SLOT)


def _supersede(turn: Turn, pool: Pool) -> set[int]:
    """End an unfinished rollout; answers the slots that it had not rolled."""
    roll = pool.roll
    if roll is None or not (roll.pending or roll.is_open):
        return set()
    if roll.is_open:
        turn.tell(Kind.ROLLOUT_SUPERSEDED, pool.name, fields={"rollout": roll.id})
    roll.state, roll.ended = RollState.SUPERSEDED, turn.now.mono
    halting.end_turns(turn, pool, roll)
    return set(roll.pending)


def _file(state: State, roll: Roll) -> None:
    state.rolls.setdefault(roll.id, []).append(roll)
    while len(state.rolls) > KEPT_ROLLS:
        del state.rolls[next(iter(state.rolls))]


# -- turns -----------------------------------------------------------------------------------------------------------


def step(turn: Turn, pool: Pool) -> None:
    """Let as many pending slots take their turn as the pool's bounds allow; see whether the rollout is done."""
    roll = pool.roll
    if roll is None or not roll.is_open:
        return
    if _may_go_on(turn, pool, roll):
        _take_turns(turn, pool, roll)
    _finish_if_done(turn, pool, roll)


def _may_go_on(turn: Turn, pool: Pool, roll: Roll) -> bool:
    """Whether replacements may be started: not beyond the lease of this host's turn, if it is the fleet's rollout."""
    fleet = turn.state.fleet
    has_turn = roll.epoch is None or (fleet is not None and fleet.has_turn(turn.now.mono))
    is_over = turn.state.is_stopping or not roll.is_running
    return has_turn and not is_over and not _comes_later(turn.state, pool, roll)


def _take_turns(turn: Turn, pool: Pool, roll: Roll) -> None:
    for index in sorted(roll.active - roll.in_place):
        _try_successor(turn, pool, pool.slots[index], roll)
    while (slot := _next_turn(pool, roll)) is not None:
        if slot.run is not None and slot.run.release is roll.release:
            _go_on_with(turn, pool, slot, slot.run, roll)
        elif slot.run is not None and _has_surge_left(pool, roll):
            roll.active.add(slot.index)
            _try_successor(turn, pool, slot, roll)
        else:
            _take_place(turn, pool, slot, roll)


def _comes_later(state: State, pool: Pool, roll: Roll) -> bool:
    """Whether a pool that this one comes after is to be rolled first."""
    if roll.now or not pool.spec.after:
        return False
    return any(base.name in pool.spec.after and other.pending for base, other in halting.together(state, roll))


def _next_turn(pool: Pool, roll: Roll) -> Slot | None:
    """The slot whose turn is next: empty ones, then idle ones, then busy ones."""
    waiting = [pool.slots[i] for i in sorted(roll.pending - roll.active) if not pool.slots[i].draining]
    if not waiting:
        return None
    slot = min(waiting, key=lambda s: (s.run is not None, s.is_busy))
    if _has_surge_left(pool, roll):
        return slot
    unavailable = pool.spec.max_unavailable.of(pool.numprocs)
    waits_for_proof = slot.run is not None and roll.active and not roll.has_proof
    if unavailable == 0 or waits_for_proof:
        return None
    others_without = len(pool.without - {slot.index})
    return slot if others_without < unavailable else None


def _has_surge_left(pool: Pool, roll: Roll) -> bool:
    """Whether one more turn may begin beside an old run; a turn between two tries keeps its place."""
    return len(pool.surging | (roll.active - roll.in_place)) < pool.spec.max_surge.of(pool.numprocs)


def _try_successor(turn: Turn, pool: Pool, slot: Slot, roll: Roll) -> None:
    waits = slot.retry_at is not None and slot.retry_at > turn.now.mono
    is_taken = slot.successor is not None or slot.draining
    if waits or is_taken or turn.state.is_stopping or len(pool.surging) >= pool.spec.max_surge.of(pool.numprocs):
        return
    slot.successor = spawn_new(turn, pool, slot, roll)
    pool.surging.add(slot.index)


def spawn_new(turn: Turn, pool: Pool, slot: Slot, roll: Roll) -> Run:
    """Start a run of the new release in a slot whose turn it is; the first one starts the clock of its trial."""
    roll.tried_since.setdefault(slot.index, turn.now.mono)
    return actions.spawn(turn, pool, slot, roll.release, None)


def _take_place(turn: Turn, pool: Pool, slot: Slot, roll: Roll) -> None:
    """Drain the old run; the slot is filled from the new release once it is gone."""
    roll.active.add(slot.index)
    roll.in_place.add(slot.index)
    pool.without.add(slot.index)
    slot.given_up = slot.finished = slot.in_backoff = False
    slot.retry_at = None
    for run in (slot.run, slot.successor):
        if run is not None:
            actions.leave_for(turn, pool, slot, run, roll)
    turn.touch(pool.name, slot.index)


def _go_on_with(turn: Turn, pool: Pool, slot: Slot, run: Run, roll: Roll) -> None:
    """An earlier daemon had started the new run, and sent the old one off: only its proof is missing, if that."""
    roll.active.add(slot.index)
    roll.in_place.add(slot.index)
    roll.tried_since.setdefault(slot.index, run.spawned)
    if run.was_healthy:
        _settle(turn, pool, slot, roll, run.directory)


def go_on_with_successors(turn: Turn, pool: Pool, roll: Roll) -> None:
    """An earlier daemon had started new runs beside old ones: their turns go on."""
    for index in sorted(roll.pending & pool.surging):
        slot = pool.slots[index]
        successor = slot.successor
        if successor is not None and successor.release is roll.release:
            roll.active.add(index)
            roll.tried_since.setdefault(index, successor.spawned)
            if successor.was_healthy:
                _promote(turn, pool, slot, roll)


def _finish_if_done(turn: Turn, pool: Pool, roll: Roll) -> None:
    if roll.is_open and not roll.pending and not roll.leaving:
        roll.state, roll.ended = RollState.DONE, turn.now.mono
        turn.remember_now()
        seconds = round(roll.ended - roll.began, 3)
        told = {"rollout": roll.id, "slots": len(roll.scope), "duration": seconds, "longest_drain": roll.longest_drain}
        turn.tell(Kind.ROLLOUT_DONE, pool.name, fields=told)


# -- what becomes of new runs ----------------------------------------------------------------------------------------


def on_spawned(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    """A successor lives, and one before it has shown that the release works: it takes over at once."""
    roll = pool.roll
    if roll is not None and slot.index in roll.proven and slot.successor is run:
        _promote(turn, pool, slot, roll)


def on_healthy(turn: Turn, pool: Pool, slot: Slot, run: Run) -> bool:
    """A new run is healthy: its slot is rolled.  Answers whether it was one of a rollout's."""
    roll = pool.roll
    if roll is None or slot.index not in roll.active or run.release is not roll.release:
        return False
    if slot.successor is run:
        _promote(turn, pool, slot, roll)
    else:
        _settle(turn, pool, slot, roll, run.directory)
    return True


def _promote(turn: Turn, pool: Pool, slot: Slot, roll: Roll) -> None:
    old, new = slot.run, slot.successor
    slot.run, slot.successor = new, None
    pool.surging.discard(slot.index)
    _settle(turn, pool, slot, roll, new.directory if new else None)
    if old is not None:
        actions.leave_for(turn, pool, slot, old, roll)


def _settle(turn: Turn, pool: Pool, slot: Slot, roll: Roll, directory: str | None) -> None:
    roll.previous[slot.index] = (slot.release, slot.directory)
    slot.release, slot.directory = roll.release, directory
    restarts.forgive(slot)
    slot.recycle = slot.recycle_at = None
    pool.recycling.discard(slot.index)
    roll.pending.discard(slot.index)
    roll.active.discard(slot.index)
    roll.in_place.discard(slot.index)
    roll.proven.discard(slot.index)
    roll.has_proof = True
    turn.must_remember = True
    told = {"rollout": roll.id, "done": roll.done, "slots": len(roll.scope)}
    turn.tell(Kind.ROLLOUT_PROGRESS, pool.name, slot.index, told)
    if not roll.pending:
        for later, _ in halting.together(turn.state, roll):
            if pool.name in later.spec.after:
                turn.touch_all(later)


def on_ended(turn: Turn, pool: Pool, slot: Slot, run: Run, *, failed: bool) -> bool:
    """A run of the new release ended.  Answers whether the slot's next step is the rollout's to decide."""
    roll = pool.roll
    if roll is None or run.release is not roll.release or _is_over(turn.state, roll):
        return False
    if slot.index not in roll.active:
        if failed:
            _revert(slot, roll)
            halting.halt_for(turn, pool, slot, roll)
        return failed
    if failed:
        halting.halt_for(turn, pool, slot, roll)
    elif exits.shows_it_works(pool.spec, run):
        _prove(turn, pool, slot, roll, run)
        return slot.index in roll.pending
    elif turn.now.mono >= roll.tried_since.setdefault(slot.index, turn.now.mono) + pool.spec.start_timeout:
        halting.halt_for(turn, pool, slot, roll, "no run of it did a job or became healthy within start-timeout")
    else:
        slot.retry_at = turn.now.mono + RETRY_PAUSE
    return True


def _is_over(state: State, roll: Roll) -> bool:
    """Whether it and all that is rolled with it on this host are done, halted or superseded."""
    return not roll.is_open and not (roll.state is RollState.DONE and halting.together(state, roll))


def _prove(turn: Turn, pool: Pool, slot: Slot, roll: Roll, run: Run) -> None:
    """A planned exit after a job: as good as healthy, so the next run takes over without a wait."""
    if slot.index in roll.in_place:
        _settle(turn, pool, slot, roll, run.directory)
    else:
        roll.proven.add(slot.index)


def on_max_jobs(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    """A new run has done all its jobs before it was healthy: the release works."""
    roll = pool.roll
    if roll is not None and run.release is roll.release and slot.index in roll.active:
        _prove(turn, pool, slot, roll, run)


def on_left(turn: Turn, pool: Pool, run: Run) -> None:
    """An old run that was drained in a rollout is gone."""
    roll = pool.roll
    if roll is not None and run.id in roll.leaving:
        roll.leaving.discard(run.id)
        if run.drained_since is not None:
            roll.longest_drain = max(roll.longest_drain, round(turn.now.mono - run.drained_since, 3))


def on_unwanted(pool: Pool, slot: Slot, *, is_held: bool) -> None:
    """A slot is to be empty: a running rollout does not wait for it, a halted one keeps it if it is only held."""
    roll = pool.roll
    if roll is None or slot.index not in roll.pending or (is_held and not roll.is_open):
        return
    roll.previous[slot.index] = (slot.release, slot.directory)
    forget_slot(pool, slot.index)
    slot.release = roll.release


def forget_slot(pool: Pool, index: int) -> None:
    """A slot leaves the pool: the rollout goes on without it."""
    roll = pool.roll
    if roll is not None:
        roll.scope -= {index}
        for slots in (roll.pending, roll.active, roll.in_place, roll.proven):
            slots.discard(index)


def adopt_slot(pool: Pool, slot: Slot) -> None:
    """A slot joins during an unfinished rollout: it starts with what the pending ones have, and is rolled with them."""
    roll = pool.roll
    model = next((pool.slots[i] for i in sorted(roll.pending) if i in pool.slots), None) if roll is not None else None
    if roll is not None and model is not None:
        slot.release, slot.directory = model.release, model.directory
        roll.scope |= {slot.index}
        roll.pending.add(slot.index)


def _revert(slot: Slot, roll: Roll) -> None:
    slot.release, slot.directory = roll.previous.pop(slot.index, (slot.release, slot.directory))
    roll.pending.add(slot.index)
