"""How far this host is with the fleet's rollouts: what it reports with every beat, as absolute values."""

from __future__ import annotations

from collections.abc import Mapping

from fleetd.core import fleet
from fleetd.core.epochs import EpochKey, keys_for
from fleetd.core.membership import Membership
from fleetd.core.roll import Release, Roll, RollState
from fleetd.core.rollout import HostProgress, HostState, Intent, Report, Rollout, RolloutState
from fleetd.core.state import Slot, State

_TO_DO = (HostState.WAITING, HostState.ROLLING)
_OPEN = (RolloutState.RUNNING, RolloutState.HALTED)


def reports(state: State) -> Mapping[int, Report]:
    """A report for each rollout that is open, unfinished here, or the newest."""
    membership = state.fleet
    if membership is None or not membership.is_known:
        return {}
    found = {}
    for epoch in sorted(_of_interest(state, membership)):
        intent = fleet.intent_of(membership, epoch)
        progress = None if intent is None else _progress(state, membership, epoch, intent)
        if intent is not None and progress is not None:
            found[epoch] = Report(intent, progress)
    return found


def wanted(state: State, told: Mapping[int, Report]) -> tuple[int, ...]:
    """The rollouts for which this host wants its turn: all for which workers are stale here, if any are to be rolled.

    So the strictest of them decides how many hosts roll at once.
    """
    if not fleet.wants_turn(state):
        return ()
    return tuple(epoch for epoch, report in told.items() if report.progress.state in _TO_DO)


def _of_interest(state: State, membership: Membership) -> set[int]:
    pools = [pool for pool in state.pools.values() if not pool.removed]
    unfinished = (pool.roll.epoch for pool in pools if pool.roll is not None and pool.roll.is_unfinished)
    newest = max((membership.epochs_of(pool.name).greatest or 0 for pool in pools), default=0)
    seen = (epoch for epoch, rollout in membership.rollouts.items() if rollout.state in _OPEN)
    return {epoch for epoch in (*seen, *unfinished, newest) if epoch}


def _progress(state: State, membership: Membership, epoch: int, intent: Intent) -> HostProgress | None:
    """None: nothing here is in the scope, and nobody waits for this host."""
    total = stale = 0
    rolls: list[Roll] = []
    meant = False
    for pool in state.pools.values():
        key = None if pool.removed else _key_of(membership, pool.name, epoch, intent)
        if key is None:
            continue
        meant = True
        slots = [slot for slot in pool.slots.values() if not (slot.retiring and slot.is_empty)]
        total += len(slots)
        stale += sum(1 for slot in slots if _is_stale(slot, key, epoch))
        if pool.roll is not None and _concerns(pool.roll, epoch):
            rolls.append(pool.roll)
    rollout = membership.rollouts.get(epoch)
    if not meant and (rollout is None or membership.member not in rollout.hosts):
        return None
    return HostProgress(
        state=_state(rolls, stale, epoch),
        total=total,
        done=total - stale,
        error=next((roll.error for roll in rolls if _is_halted(roll)), None),
        longest_drain=max((roll.longest_drain for roll in rolls), default=0.0),
        resumes=_resumes(rolls, rollout),
    )


def _key_of(membership: Membership, pool: str, epoch: int, intent: Intent) -> EpochKey | None:
    """The key by which the rollout is meant for a pool here; None: it is not.

    The scope of a request is what it says.  That of plain increments covers all that was raised, and maybe more.
    """
    key = intent.scope.key_for(membership.host, pool)
    if key is None or intent.request or membership.epochs.get(str(key), 0) >= epoch:
        return key
    return next((each for each in keys_for(membership.host, pool) if membership.epochs.get(str(each)) == epoch), None)


def _is_stale(slot: Slot, key: EpochKey, epoch: int) -> bool:
    """Whether it has, or would be given, a worker that was started under less than the epoch."""
    return any(_is_older(release, key, epoch) for release in (slot.release, *(run.release for run in slot.runs())))


def _is_older(release: Release, key: EpochKey, epoch: int) -> bool:
    return release.epochs is None or release.epochs.of(key) < epoch


def _concerns(roll: Roll, epoch: int) -> bool:
    """Whether it is, or will also be, the rollout's: an older one of the fleet does not tell of a newer one."""
    return roll.epoch == epoch or (roll.is_unfinished and (roll.epoch is None or roll.epoch > epoch))


def _resumes(rolls: list[Roll], rollout: Rollout | None) -> int:
    """How often the rollout had been resumed when it was halted here; else as far as is known."""
    known = 0 if rollout is None else rollout.resumes
    halted = next((roll for roll in rolls if _is_halted(roll)), None)
    return known if halted is None or rollout is None else halted.resumes_at_halt.get(rollout.epoch, known)


def _is_halted(roll: Roll) -> bool:
    return roll.state is RollState.HALTED and roll.is_unfinished and not roll.halted_elsewhere


def _state(rolls: list[Roll], stale: int, epoch: int) -> HostState:
    if stale == 0 and not any(roll.is_open and roll.epoch == epoch for roll in rolls):
        return HostState.DONE
    if any(_is_halted(roll) for roll in rolls):
        return HostState.HALTED
    return HostState.ROLLING if any(roll.is_running for roll in rolls) else HostState.WAITING
