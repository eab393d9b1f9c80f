"""What the operator asks for, applied to the state: targets are already resolved."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.core import actions, adopt, brokers, incidents, restarts, rolling, scaling
from fleetd.core.effects import Announce
from fleetd.core.events import (
    PauseRequested,
    RestartRequested,
    Restored,
    ResumeRequested,
    ScaleRequested,
    ShutdownRequested,
    SpecChanged,
    StartRequested,
    StopRequested,
    Target,
)
from fleetd.core.facts import Fact, Kind
from fleetd.core.plan import Change, PoolChange, diff
from fleetd.core.roll import Release
from fleetd.core.spec import PoolSpec
from fleetd.core.state import NO_SLOT, Pool, Reason, Slot
from fleetd.core.turn import Turn

LIMITS = frozenset({"max-memory", "max-memory-jitter", "max-lifetime", "max-lifetime-jitter"})


# -- the pool files --------------------------------------------------------------------------------------------------


def change_spec(turn: Turn, event: SpecChanged) -> None:
    """Apply a new spec: pools join, leave, take new settings live, or are rolled onto a new launch."""
    state = turn.state
    old = {name: pool.spec for name, pool in state.pools.items() if not pool.removed}
    brokers.forget_changed(state, event.spec)
    state.spec = event.spec
    for change in diff(old, event.spec.pools):
        _apply(turn, change, event.spec.pools.get(change.name), event.roll)
    adopted, state.adopted = state.adopted, ()
    for record in adopted:
        adopt.take_over(turn, record)
    for name, memory in state.remembered.items():
        if memory.roll is not None and name in state.pools:
            adopt.resume_roll(turn, state.pools[name], memory.roll)
    if adopted:
        adopt.give_up_successors(turn)
    state.remembered, state.counted = {}, {}
    for pool in state.pools.values():  # gates between pools may have changed
        turn.touch_all(pool)
    incidents.change_rules(turn, event.spec)
    turn.must_remember = True


def _apply(turn: Turn, change: PoolChange, spec: PoolSpec | None, roll: int) -> None:
    pool = turn.state.pools.get(change.name)
    if change.change is Change.REMOVED and pool is not None:
        _remove(turn, pool)
    elif spec is None or change.change is Change.UNCHANGED:
        return
    elif change.change is Change.ADDED or pool is None:
        _add(turn, spec)
    else:
        _change(turn, pool, spec, change, roll)


def _add(turn: Turn, spec: PoolSpec) -> None:
    state = turn.state
    leaving = state.pools.get(spec.name)
    epochs = state.epochs_for_new(spec.name)
    pool = Pool(spec, Release(0, spec, epochs), spec.numprocs, stopped=not spec.autostart)
    pool.held = state.fleet is not None and state.fleet.is_paused(spec.name)
    if leaving is not None:  # it was removed and is back before its last worker was gone
        pool.slots, pool.alive = leaving.slots, leaving.alive
        pool.release = Release(leaving.release.generation + 1, spec, epochs)
        for slot in pool.slots.values():
            slot.retiring, slot.release = True, pool.release
    memory = state.remembered.get(spec.name)
    if memory is not None:
        adopt.remember(pool, memory)
    # After a crash the journal's counters belong to what is yet to be read; the remembered ones may be ahead of it.
    if spec.name in state.counted:
        pool.ledger.restore(state.counted[spec.name])
    state.pools[spec.name] = pool
    scaling.fit(turn, pool)
    if memory is not None:
        adopt.restore_slots(pool, memory)
    turn.tell(Kind.POOL_ADDED, spec.name, fields={"numprocs": pool.numprocs})


def _remove(turn: Turn, pool: Pool) -> None:
    pool.removed = True
    pool.forget_queues()
    turn.touch_all(pool)


def _change(turn: Turn, pool: Pool, spec: PoolSpec, change: PoolChange, roll: int) -> None:
    if spec.numprocs != pool.spec.numprocs:
        pool.numprocs, pool.scaled_from = spec.numprocs, None
    _apply_live(turn, pool, spec, change)
    turn.tell(Kind.POOL_CHANGED, pool.name, fields={"change": change.change, "keys": change.keys})
    if change.change is Change.ROLLED:
        release = Release(pool.release.generation + 1, spec, turn.state.epochs_for_new(pool.name))
        rolling.begin(turn, pool, release, set(pool.slots), roll, label="reload")
    scaling.fit(turn, pool)
    turn.touch_all(pool)


def _apply_live(turn: Turn, pool: Pool, spec: PoolSpec, change: PoolChange) -> None:
    """Give the releases that have the pool's present launch the new settings; a new launch enters by a rollout only."""
    present, pool.spec = pool.spec, spec
    if (present.broker, present.places) != (spec.broker, spec.places):
        pool.forget_queues()
    runs = [run for slot in pool.slots.values() for run in slot.runs()]
    releases = {pool.release, *(slot.release for slot in pool.slots.values()), *(run.release for run in runs)}
    for release in releases if change.change is Change.LIVE else ():
        if release.spec.launch == present.launch:
            release.spec = spec
    if LIMITS & set(change.keys):
        for run in runs:
            actions.draw_limits(turn, run)


def restore(turn: Turn, event: Restored) -> None:
    """Keep what an earlier daemon left until the spec is known."""
    turn.state.history.began = turn.now.unix
    pools, runs, memory, fleet = event.remembered.pools, event.runs, event.remembered.fleet, turn.state.fleet
    if fleet is None or (memory is not None and not fleet.remember(memory)):
        pools, runs = adopt.without_fleet(pools, runs)
    turn.state.remembered = dict(pools)
    turn.state.adopted = adopt.dated(pools, runs)
    turn.state.counted = event.counted
    turn.state.alerts.remembered = event.remembered.incidents


# -- targets ---------------------------------------------------------------------------------------------------------


def _slots(turn: Turn, targets: tuple[Target, ...]) -> Iterator[tuple[Pool, Slot]]:
    for target in targets:
        pool = turn.state.pools.get(target.pool)
        if pool is None:
            continue
        for slot in list(pool.slots.values()) if target.slot is None else [pool.slots.get(target.slot)]:
            if slot is not None:
                turn.touch(pool.name, slot.index)
                yield pool, slot


def _pools(turn: Turn, targets: tuple[Target, ...]) -> Iterator[Pool]:
    for target in targets:
        pool = turn.state.pools.get(target.pool)
        if pool is not None and target.slot is None:
            turn.touch(pool.name, NO_SLOT)
            yield pool


def start(turn: Turn, event: StartRequested) -> None:
    """Lift a stop, and try again at once what waits or was given up."""
    for pool in _pools(turn, event.targets):
        if pool.stopped:
            turn.tell(Kind.POOL_STARTED, pool.name)
        pool.stopped, pool.wish = False, None if pool.spec.autostart else False
    for _pool, slot in _slots(turn, event.targets):
        slot.stopped = False
        restarts.forgive(slot)
    turn.must_remember = True


def stop(turn: Turn, event: StopRequested) -> None:
    """Drain, and stay stopped."""
    for pool in _pools(turn, event.targets):
        if not pool.stopped:
            turn.tell(Kind.POOL_STOPPED, pool.name)
        pool.stopped, pool.wish, pool.came_up = True, True, False
    for pool, slot in _slots(turn, event.targets):
        slot.stopped = True
        if event.now:
            for run in list(slot.runs()):
                actions.leave(turn, pool, slot, run, Reason.STOP, actions.NOW_TIMEOUT)
    turn.must_remember = True


def shut_down(turn: Turn, event: ShutdownRequested) -> None:
    """Drain everything, dependants first; asked again, or at once: give up waiting for jobs."""
    state = turn.state
    now = event.now or state.is_stopping
    if not state.is_stopping:
        turn.emit(Announce(Fact(Kind.DAEMON_STOPPING)))
    state.is_stopping = True
    for pool in state.pools.values():
        turn.touch_all(pool)
        if now:
            for slot in pool.slots.values():
                for run in list(slot.runs()):
                    actions.leave(turn, pool, slot, run, Reason.STOP, actions.NOW_TIMEOUT)
    state.stops_now = now


def restart(turn: Turn, event: RestartRequested) -> None:
    """Roll the targets onto new code."""
    slots: dict[str, set[int]] = {}
    for pool, slot in _slots(turn, event.targets):
        slots.setdefault(pool.name, set()).add(slot.index)
    for name, indexes in slots.items():
        pool = turn.state.pools[name]
        release = Release(pool.release.generation + 1, pool.spec, turn.state.epochs_for_new(pool.name))
        rolling.begin(turn, pool, release, indexes, event.roll, label=event.label, now=event.now)


def scale(turn: Turn, event: ScaleRequested) -> None:
    """Change numprocs until the file's changes."""
    pool = turn.state.pools.get(event.pool)
    if pool is None:
        return
    pool.numprocs = event.numprocs
    pool.scaled_from = None if event.numprocs == pool.spec.numprocs else pool.spec.numprocs
    scaling.fit(turn, pool)
    turn.touch_all(pool)
    turn.must_remember = True
    turn.tell(Kind.POOL_SCALED, pool.name, fields={"numprocs": pool.numprocs})


def pause(turn: Turn, event: PauseRequested) -> None:
    """Take no new jobs: the pause signal where there is one, else drain and hold the slots."""
    for pool in _pools(turn, event.targets):
        pool.paused = True
        turn.tell(Kind.POOL_PAUSED, pool.name)
    for _, slot in _slots(turn, event.targets):
        slot.paused = True
    turn.must_remember = True


def resume(turn: Turn, event: ResumeRequested) -> None:
    """Go on."""
    for pool in _pools(turn, event.targets):
        pool.paused = False
        turn.tell(Kind.POOL_RESUMED, pool.name)
    for _, slot in _slots(turn, event.targets):
        slot.paused = False
    turn.must_remember = True
