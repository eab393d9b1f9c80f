"""Following the fleet: what the coordinator shows, and what becomes of this host's pools.

Everything is compared anew with every answer: a key that is greater than what workers were started under makes them
stale, whenever and however it came to be so.
"""

from __future__ import annotations

from functools import reduce

from msgspec.structs import replace

from fleetd.core import epochs, halting, rolling
from fleetd.core.effects import Announce
from fleetd.core.epochs import EpochKey, Epochs
from fleetd.core.events import FleetLost, FleetObserved
from fleetd.core.facts import Fact, Kind, Value
from fleetd.core.membership import Membership
from fleetd.core.roll import Release, RollError, RollState
from fleetd.core.rollout import Intent, RolloutState
from fleetd.core.scope import Scope
from fleetd.core.spec import Seconds
from fleetd.core.state import Pool, Slot, State
from fleetd.core.turn import Turn

AT_ONCE: Seconds = 10.0  # further epochs within so long after a pool began to follow one are followed together


def observe(turn: Turn, event: FleetObserved) -> None:
    """Take in what the coordinator shows."""
    fleet = turn.state.fleet
    if fleet is None:
        return
    _note_contact(turn, fleet, held_by_other=event.held_by_other)
    if event.held_by_other:
        return
    known_before = dict(fleet.epochs)
    _believe(turn, fleet, event)
    if not fleet.is_known:
        fleet.is_known = True
        _name_unknown(turn, fleet, known_before)
    _hold_paused(turn, fleet, event.paused)
    if event.incarnation != fleet.incarnation:
        fleet.incarnation = event.incarnation
        turn.must_remember = True
    is_new_turn = _note_turn(turn, fleet, event.turn_until)
    fleet.rollouts = {rollout.epoch: rollout for rollout in event.rollouts}
    for pool in turn.state.pools.values():
        if not pool.removed:
            _follow(turn, fleet, pool)
            _take_or_lose_turn(turn, fleet, pool, is_new=is_new_turn)


def _note_turn(turn: Turn, fleet: Membership, until: Seconds | None) -> bool:
    """Whether it is this host's turn, and was not before; an answer that comes when nothing is wanted grants none."""
    wanted = wants_turn(turn.state)
    had_it = fleet.has_turn(turn.now.mono)
    has_it = until is not None and bool(wanted)
    if fleet.turn_until is not None and not (had_it and has_it):
        _tell(turn, Kind.TURN_ENDED, {})
    fleet.turn_until = until if has_it else None
    if has_it and not had_it:
        _tell(turn, Kind.TURN_TAKEN, {"epochs": tuple(map(str, wanted))})
    return has_it and not had_it


def lose(turn: Turn, event: FleetLost) -> None:
    """The coordinator does not answer: everything goes on as it is."""
    fleet = turn.state.fleet
    if fleet is None or (not fleet.connected and fleet.since is not None):
        return
    fleet.connected, fleet.since = False, turn.now.unix
    turn.state.alerts.is_stale = True
    _tell(turn, Kind.FLEET_LOST, {"fleet": fleet.fleet, "error": event.error})


def wants_turn(state: State) -> tuple[int, ...]:
    """The rollouts for which this host has workers to replace."""
    rolls = {pool.roll.epoch for pool in state.pools.values() if pool.roll is not None and pool.roll.is_open}
    return tuple(sorted(epoch for epoch in rolls if epoch is not None))


def end_turn(turn: Turn) -> None:
    """Give the turn back as soon as there is nothing left to do with it."""
    fleet = turn.state.fleet
    if fleet is None or fleet.turn_until is None or wants_turn(turn.state):
        return
    fleet.turn_until = None
    _tell(turn, Kind.TURN_ENDED, {})


def _note_contact(turn: Turn, fleet: Membership, *, held_by_other: bool) -> None:
    if held_by_other and not fleet.held_by_other:
        _tell(turn, Kind.FLEET_NAME_TAKEN, {"fleet": fleet.fleet, "member": fleet.member})
    if not fleet.connected:
        fleet.connected, fleet.since = True, turn.now.unix
    elif held_by_other == fleet.held_by_other:
        return
    fleet.held_by_other = held_by_other
    if not held_by_other:
        _tell(turn, Kind.FLEET_JOINED, {"fleet": fleet.fleet, "member": fleet.member})


# -- epochs ----------------------------------------------------------------------------------------------------------


def _believe(turn: Turn, fleet: Membership, event: FleetObserved) -> None:
    """Take over what has grown; what cannot be true is told once, and never believed later."""
    for key, raw in event.epochs.items():
        value = epochs.read(raw, event.clock)
        known = fleet.epochs.get(key, 0)
        if value is not None and value <= known:
            fleet.refused.pop(key, None)
        elif value is None or fleet.refused.get(key) == raw:
            _refuse(turn, fleet, key, raw)
        else:
            fleet.epochs[key] = value
            fleet.refused.pop(key, None)
            turn.must_remember = True
            _tell(turn, Kind.EPOCH_RAISED, {"key": key, "epoch": value, "was": known or None})


def _refuse(turn: Turn, fleet: Membership, key: str, raw: str) -> None:
    if fleet.refused.get(key) == raw:
        return
    fleet.refused[key] = raw
    turn.must_remember = True
    _tell(turn, Kind.EPOCH_REFUSED, {"key": key, "value": raw[:40]})


def _name_unknown(turn: Turn, fleet: Membership, known_before: dict[str, int]) -> None:
    """At first contact, workers that were started under an unknown epoch get it if nothing has grown meanwhile."""
    for pool in turn.state.pools.values():
        then, now = epochs.applying_to(fleet.host, pool.name, known_before), fleet.epochs_of(pool.name)
        if now.newest_over(then) is not None:
            continue
        # What waits in an unfinished rollout was started before it: that is all that is known.
        slots = [slot for index, slot in pool.slots.items() if not pool.is_pinned(index)]
        runs = [run for slot in slots for run in slot.runs()]
        for release in (pool.release, *(slot.release for slot in slots), *(run.release for run in runs)):
            release.epochs = release.epochs or now
        for run in runs:
            turn.record(run)


# -- pauses ----------------------------------------------------------------------------------------------------------


def _hold_paused(turn: Turn, fleet: Membership, paused: frozenset[str]) -> None:
    if paused != fleet.paused:
        fleet.paused = paused
        turn.must_remember = True
    for pool in turn.state.pools.values():
        held = fleet.is_paused(pool.name)
        if held == pool.held:
            continue
        pool.held = held
        turn.tell(Kind.POOL_PAUSED if held else Kind.POOL_RESUMED, pool.name)
        turn.touch_all(pool)


# -- rollouts --------------------------------------------------------------------------------------------------------


def _follow(turn: Turn, fleet: Membership, pool: Pool) -> None:
    """Have stale workers replaced when it is this host's turn, unless the rollout is halted."""
    current = fleet.epochs_of(pool.name)
    stale = _stale_slots(pool, current)
    if stale and not _has_just_begun(turn, fleet, pool):
        _begin(turn, fleet, pool, current, stale)
    roll = pool.roll
    if roll is None or roll.epoch is None or not roll.is_unfinished:
        return
    rollout = fleet.rollouts.get(roll.epoch)
    if rollout is not None and rollout.state is RolloutState.HALTED and roll.is_open:
        who = rollout.halted_by or "somebody"
        halting.halt_elsewhere(turn, pool, roll, RollError(who, f"halted by {who}"))
    elif rollout is not None and rollout.resumes > roll.resumes:
        roll.resumes = rollout.resumes
        if roll.state is RollState.HALTED and rollout.state is RolloutState.RUNNING:
            halting.resume(turn, pool, roll)


def _take_or_lose_turn(turn: Turn, fleet: Membership, pool: Pool, *, is_new: bool) -> None:
    roll = pool.roll
    if roll is None or roll.epoch is None or not roll.is_open:
        return
    if not fleet.has_turn(turn.now.mono):
        roll.state = RollState.WAITING
    elif is_new or not roll.is_running:
        rolling.take_turn(turn, pool, roll)


def _stale_slots(pool: Pool, current: Epochs) -> set[int]:
    """The slots that are filled from a release of before one of the epochs, and are not on their way to a newer one."""
    roll = pool.roll
    is_newest = roll is not None and roll.is_unfinished and current.newest_over(roll.release.epochs) is None
    on_their_way = roll.pending if roll is not None and is_newest else set()
    return {
        index
        for index, slot in pool.slots.items()
        if not slot.retiring and index not in on_their_way and _grown_over(slot, current) is not None
    }


def _grown_over(slot: Slot, current: Epochs) -> int | None:
    """The greatest epoch that is newer than what the slot is filled from, or than its run; None: none is."""
    releases = (slot.release,) if slot.run is None else (slot.release, slot.run.release)
    grown = (current.newest_over(release.epochs) for release in releases)
    return max((epoch for epoch in grown if epoch is not None), default=None)


def _has_just_begun(turn: Turn, fleet: Membership, pool: Pool) -> bool:
    """Whether it began to follow another epoch a moment ago, and workers of that one were started already."""
    at, roll = fleet.rolled_at.get(pool.name), pool.roll
    if at is None or turn.now.mono >= at + AT_ONCE or roll is None:
        return False
    return roll.state is RollState.DONE or (roll.is_open and bool(roll.tried_since))


def _begin(turn: Turn, fleet: Membership, pool: Pool, current: Epochs, stale: set[int]) -> None:
    release = Release(pool.release.generation + 1, pool.spec, current)
    grown = [_grown_over(pool.slots[index], current) for index in stale]
    epoch = max(value for value in grown if value is not None)
    intent = intent_of(fleet, epoch) or Intent()
    roll = rolling.begin_for_fleet(turn, pool, release, stale, epoch, intent=intent)
    rollout = fleet.rollouts.get(epoch)
    roll.resumes = rollout.resumes if rollout is not None else 0
    fleet.rolled_at[pool.name] = turn.now.mono


def intent_of(fleet: Membership, epoch: int) -> Intent | None:
    """What a rollout is for; one that nobody announced (a plain INCR) is for what its keys say.

    Keys that were raised to the same number one by one are one rollout.  None: it is not known, and no key says.
    """
    rollout = fleet.rollouts.get(epoch)
    said = _said_by_keys(fleet, epoch)
    if rollout is None:
        return None if said is None else Intent(scope=said)
    if said is None or rollout.intent.request or rollout.intent.scope.covers(said):
        return rollout.intent
    return replace(rollout.intent, scope=rollout.intent.scope.with_all_of(said))


def _said_by_keys(fleet: Membership, epoch: int) -> Scope | None:
    keys = [EpochKey.parse(text) for text, value in fleet.epochs.items() if value == epoch]
    scopes = [Scope(_alone(key.host), _alone(key.pool)) for key in keys]
    return reduce(Scope.with_all_of, scopes) if scopes else None


def _alone(name: str | None) -> tuple[str] | None:
    return None if name is None else (name,)


def _tell(turn: Turn, kind: Kind, fields: dict[str, Value]) -> None:
    turn.emit(Announce(Fact(kind, fields=fields)))
