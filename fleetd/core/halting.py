"""Halting a rollout and having it go on: what is not rolled keeps the release it had (promise P6)."""

from __future__ import annotations

from fleetd.core import actions
from fleetd.core.facts import Kind, Value
from fleetd.core.roll import Roll, RollError, RollState
from fleetd.core.state import Pool, Reason, Slot, State
from fleetd.core.turn import Turn

ALONE = 0  # the id of rollouts that nobody asked for: each pool's stands for itself


def together(state: State, roll: Roll) -> list[tuple[Pool, Roll]]:
    """The other pools that are rolled by the same request, and are not done."""
    if roll.id == ALONE:
        return []
    others = [(pool, pool.roll) for pool in state.pools.values() if pool.roll is not None and pool.roll is not roll]
    return [(pool, other) for pool, other in others if _is_of_one_request(other, roll) and other.is_open]


def _is_of_one_request(one: Roll, other: Roll) -> bool:
    return (one.id, one.epoch) == (other.id, other.epoch)  # a plain INCR may give a number that is an id here, too


def resume(turn: Turn, pool: Pool, roll: Roll) -> None:
    """A halted rollout goes on: what is not rolled is tried again."""
    roll.state, roll.error, roll.ended, roll.halted_elsewhere = RollState.WAITING, None, None, False
    roll.tried_since.clear()
    turn.remember_now()
    turn.tell(Kind.ROLLOUT_RESUMED, pool.name, fields={"rollout": roll.id, "pending": len(roll.pending)})


def halt_elsewhere(turn: Turn, pool: Pool, roll: Roll, error: RollError) -> None:
    """Somebody else halted it: what is not rolled goes on with the release it had."""
    _hold(turn, pool, roll, error)
    roll.halted_elsewhere = True
    told: dict[str, Value] = {"rollout": roll.id, "reason": error.reason, "lines": error.lines}
    turn.tell(Kind.ROLLOUT_HALTED, pool.name, fields=told | {"pending": len(roll.pending)})


def halt_for(turn: Turn, pool: Pool, slot: Slot, roll: Roll, why: str | None = None) -> None:
    """Hold the rollout, in every pool that it rolls: what is not rolled goes on with the release it had."""
    slot.retry_at, slot.in_backoff = None, False
    error = RollError(f"{pool.name}:{slot.index}", why or _explain(slot), slot.last_lines)
    others = together(turn.state, roll)
    _hold(turn, pool, roll, error)
    told: dict[str, Value] = {"rollout": roll.id, "reason": error.reason, "lines": error.lines}
    turn.tell(Kind.ROLLOUT_HALTED, pool.name, slot.index, told | {"pending": len(roll.pending)})
    for other, its_roll in others:
        _hold(turn, other, its_roll, error)
        told = {"rollout": roll.id, "reason": f"{error.worker} failed: {error.reason}", "lines": ()}
        turn.tell(Kind.ROLLOUT_HALTED, other.name, fields=told | {"pending": len(its_roll.pending)})
        turn.touch_all(other)


def _hold(turn: Turn, pool: Pool, roll: Roll, error: RollError) -> None:
    roll.error, roll.state, roll.ended = error, RollState.HALTED, turn.now.mono
    fleet = turn.state.fleet
    roll.resumes_at_halt = {} if fleet is None else {r.epoch: r.resumes for r in fleet.rollouts.values()}
    end_turns(turn, pool, roll)
    turn.remember_now()


def _explain(slot: Slot) -> str:
    last = slot.last_exit
    if last is None:
        return "failed"
    if last.error is not None:
        return last.error
    if last.reason is Reason.START_FAILED:
        return "not healthy within start-timeout"
    if last.signal is not None:
        return f"ended by signal {last.signal} ({last.reason})"
    return f"exited with code {last.code} ({last.reason})"


def end_turns(turn: Turn, pool: Pool, roll: Roll) -> None:
    """Take back the turns that are under way; their slots stay pending."""
    for index in sorted(roll.active):
        slot = pool.slots[index]
        unproven = slot.run if index in roll.in_place and slot.run and slot.run.release is roll.release else None
        for run in (slot.successor, unproven):
            if run is not None:
                actions.leave(turn, pool, slot, run, Reason.RESTART)
        turn.touch(pool.name, index)
    roll.active.clear()
    roll.in_place.clear()
    roll.proven.clear()
