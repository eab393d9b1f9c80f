"""The daemon in one line: what `systemctl status` shows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil

from fleetd.core.health import is_expected, is_up
from fleetd.core.membership import Membership
from fleetd.core.roll import Roll, RollState
from fleetd.core.spec import Seconds
from fleetd.core.state import Phase, Slot, State
from fleetd.views.control_characters import made_visible
from fleetd.views.counted import counted

LONGEST = 500  # characters: a service manager takes a message of 4 KiB at most
_NAMED = 5  # pools in a list


def status_line(state: State, now: Seconds, note: str | None = None) -> str:
    """What the daemon is at, without control characters; `now` is monotonic, `note` is added.

    "12/12 workers, 3 busy, epoch 1790000123" while all is well.
    """
    if state.spec is None:
        text = _starting(state)
    elif state.is_stopping:
        text = _stopping(state, now)
    else:
        text = "; ".join([_counts(state), *_notes(state)] + ([note] if note else []))
    text = made_visible(text.replace("\t", " "))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def duration(seconds: Seconds) -> str:
    """For people, rounded up to a whole second: `4 min 10 s`, `2 h 5 min`."""
    rest = ceil(seconds)
    if rest < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{rest} s"
    minutes, rest = divmod(rest, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


# -- beginning and end -----------------------------------------------------------------------------------------------


def _starting(state: State) -> str:
    left = len(state.adopted)
    return f"starting: {counted(left, 'worker')} of an earlier daemon to take over" if left else "starting"


def _stopping(state: State, now: Seconds) -> str:
    runs = list(state.runs.values())
    if not runs:
        return "stopped" if state.is_finished else "draining: no worker left"
    left, busy = f"{counted(len(runs), 'worker')} left", sum(run.is_busy for run in runs)
    parts = [left, f"{busy} busy"] if busy else [left]
    may_stay = [run.kill_at for run in runs if run.kill_at is not None and run.phase is not Phase.KILLED]
    if may_stay:
        longest = duration(max(0.0, max(may_stay) - now))
        parts.append(f"the longest has {longest}" if len(may_stay) > 1 else f"with {longest} to go")
    if all(run.phase is Phase.KILLED for run in runs):
        parts.append("killed")
    return f"{'ending at once' if state.stops_now else 'draining'}: {', '.join(parts)}"


# -- at work ---------------------------------------------------------------------------------------------------------


def _counts(state: State) -> str:
    places = [(pool, slot) for pool in state.pools.values() for slot in pool.slots.values()]
    expected = [slot for pool, slot in places if is_expected(state, pool, slot)]
    missing = [slot for slot in expected if not is_up(slot)]
    failing = sum(_is_failing(slot) for slot in missing)
    counts = {
        "starting": len(missing) - failing,
        "failing": failing,
        "draining": sum(len(s.draining) for _, s in places),
    }
    parts = [f"{len(expected) - len(missing)}/{counted(len(expected), 'worker')}"]
    parts += [f"{count} {what}" for what, count in counts.items() if count]
    telling = [run for run in state.runs.values() if run.tells_jobs_in_hand]
    if telling or any(pool.spec.reports_starts for pool in state.pools.values()):
        parts.append(f"{sum(run.is_busy for run in telling)} busy")
    epoch = None if state.fleet is None else max(state.fleet.epochs.values(), default=None)
    if epoch is not None:
        parts.append(f"epoch {epoch}")
    return ", ".join(parts)


def _is_failing(slot: Slot) -> bool:
    return bool(slot.given_up or slot.failures or slot.finished)


def _notes(state: State) -> Iterator[str]:
    """What an operator should know beside the counts, the worst first."""
    if state.fleet is not None and (trouble := _fleet_trouble(state.fleet)):
        yield trouble
    rolls = [(pool.name, pool.roll) for pool in state.pools.values() if pool.roll is not None]
    for wanted in (RollState.HALTED, RollState.RUNNING, RollState.WAITING):
        yield from (f"{name}: {_roll(roll)}" for name, roll in rolls if roll.state is wanted and roll.is_unfinished)
    pools = [pool for pool in state.pools.values() if not pool.removed]
    yield from _list("paused", (pool.name for pool in pools if pool.is_paused))
    yield from _list("stopped", (pool.name for pool in pools if pool.stopped and not pool.is_paused))


def _fleet_trouble(fleet: Membership) -> str | None:
    if fleet.held_by_other:
        return f"fleet {fleet.fleet}: another daemon is {fleet.member}"
    return None if fleet.connected else f"fleet {fleet.fleet}: out of reach"


def _roll(roll: Roll) -> str:
    done = f"{roll.done} of {len(roll.scope)}"
    if roll.state is RollState.WAITING:
        return f"waits for its turn in a rollout ({done})"
    if roll.state is RollState.RUNNING:
        return f"rolling ({done})"
    why = "" if roll.error is None else f": {roll.error.worker}: {roll.error.reason}"
    return f"rollout halted at {done}{why}"


def _list(what: str, names: Iterable[str]) -> Iterator[str]:
    named = list(names)
    if named:
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        yield f"{what}: {', '.join(named[:_NAMED])}{more}"
