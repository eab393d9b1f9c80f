"""Whether what an alert is on holds, looked at only where something has happened: a slot, a pool, a broker, the fleet.

What an event costs does not grow with the number of workers: for each pool it is kept of which slots a word holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fleetd.core.alerts import FEWEST_ENDED, AlertSpec, Unit, Word
from fleetd.core.effects import Announce
from fleetd.core.events import Event, FleetLost, FleetObserved, OutputJudged, QueuesRead, SpecChanged
from fleetd.core.facts import Kind
from fleetd.core.health import is_expected, is_up
from fleetd.core.incident import Alerts, Sign, Subject
from fleetd.core.incidents import go_on, heard, lose_contact, note, rules_on
from fleetd.core.restarts import CRASH_LOOP
from fleetd.core.roll import RollState
from fleetd.core.spec import Seconds
from fleetd.core.state import NO_SLOT, Moment, Pool, Reason, Slot, State
from fleetd.core.subjects import is_gone, is_of
from fleetd.core.turn import Turn
from fleetd.core.waits import wait_of
from fleetd.core.windows import Window

LOOKS_APART: Seconds = 1.0  # between two looks at all slots of a pool that may have shown that they work

_OF_SLOTS = (Word.CRASH_LOOP, Word.GIVEN_UP, Word.POOL_DEGRADED)
_OF_WINDOWS = (Word.JOB_TIMEOUT, Word.JOB_FAILURES)


def end_turn(turn: Turn, event: Event) -> None:
    """Look at all that this step may have changed, and go on with what follows from it.

    While the daemon ends, nothing is judged: its workers leave because they were told to.
    """
    alerts = turn.state.alerts
    if isinstance(event, FleetObserved):
        heard(turn, event.incidents)
    elif isinstance(event, FleetLost):
        lose_contact(turn)
    if not turn.state.is_stopping:
        if isinstance(event, SpecChanged):
            _begin(turn, alerts)
        _look_at_pools(turn, alerts, anew=isinstance(event, SpecChanged))
        _look_at_event(turn, event)
        _look_again(turn, alerts)
    if alerts.is_stale or (alerts.next is not None and alerts.next <= turn.now.mono):
        go_on(turn)


def _look_at_event(turn: Turn, event: Event) -> None:
    if isinstance(event, QueuesRead):
        _broker(turn, event.broker)
        for pool in turn.state.pools.values():
            if pool.spec.broker == event.broker:
                _waits(turn, pool)
    elif isinstance(event, FleetObserved | FleetLost):
        _redis(turn, event)
        if isinstance(event, FleetObserved):
            _name(turn, event)
        for name in turn.state.pools if Word.ROLLOUT_HALTED in turn.state.alerts.rules else ():
            _rollout(turn, name)  # somebody else may have halted it


# -- the files -------------------------------------------------------------------------------------------------------


def _begin(turn: Turn, alerts: Alerts) -> None:
    """The pool files were read: see what is still there, and what a daemon before this one knew."""
    state = turn.state
    for incident in list(alerts.incidents.values()):
        if is_gone(state, incident.alert, incident.subject):
            note(turn, incident.alert, incident.subject, None)
    for pool in state.pools.values():
        turn.looked_at.update((pool.name, index) for index in (NO_SLOT, *pool.slots))
        _waits(turn, pool)
        _dropping(turn, pool.name)
    for broker in list(state.brokers):
        _broker(turn, broker)
    for subject in list(alerts.windows):
        if next(rules_on(alerts, subject.word, subject.pool), None) is None:
            del alerts.windows[subject]
            alerts.checks.pop(subject, None)
        else:
            _window(turn, subject)


# -- slots and pools -------------------------------------------------------------------------------------------------


def _look_at_pools(turn: Turn, alerts: Alerts, *, anew: bool) -> None:
    words = [word for word in _OF_SLOTS if word in alerts.rules]
    by_pool: dict[str, set[int]] = {}
    for name, index in turn.looked_at:
        by_pool.setdefault(name, set()).add(index)
    for name, indexes in by_pool.items():
        for word in words:
            _slots(turn, word, name, indexes, anew=anew)
        if Word.ROLLOUT_HALTED in alerts.rules:
            _rollout(turn, name)
        if name in alerts.dropping:
            _dropping(turn, name)
    _jobs(turn, alerts)


def _slots(turn: Turn, word: Word, name: str, indexes: Iterable[int], *, anew: bool = False) -> None:
    """Keep of which slots of a pool a word holds, by looking at those in which something has happened.

    `anew`: the alerts may be others, or have other thresholds, than when it was looked at before.
    """
    alerts, pool = turn.state.alerts, turn.state.pools.get(name)
    held = alerts.slots.setdefault((word, name), set())
    before, joined = len(held), []
    for index in held.copy() if pool is None else indexes:
        slot = None if pool is None else pool.slots.get(index)
        if pool is None or slot is None or not _HOLDS[word](turn, pool, slot):
            held.discard(index)
        elif index not in held:
            held.add(index)
            joined.append(index)
        if word is Word.CRASH_LOOP and pool is not None and slot is not None and index in held:
            _await_proof(turn, pool, slot)
    if not held:
        del alerts.slots[word, name]
        alerts.checks.pop(Subject(word, name), None)
    if not joined and len(held) == before and not anew:
        return
    for alert in rules_on(alerts, word, name):
        sign = None
        if pool is not None and len(held) > alert.above.value:
            sign = _sign_of_slot(pool, min(joined, default=next(iter(held))), len(held))
        note(turn, alert, Subject(word, name), sign, again=bool(joined) and before > 0)


def _sign_of_slot(pool: Pool, index: int, count: int) -> Sign:
    lines = pool.slots[index].last_lines
    return Sign(count, f"{pool.name}:{index}", lines[-1] if lines else None)


def _is_looping(turn: Turn, pool: Pool, slot: Slot) -> bool:
    """Failed five times in a row, and has not shown since that it works.

    A daemon that has just begun does not know of failures before: its slots are not well until they have shown it.
    """
    alerts = turn.state.alerts
    unproven = alerts.unproven.get(pool.name, set())
    proved = _proved_at(pool, slot)
    has_ended_well = slot.failures == 0 and slot.last_exit is not None
    if not is_expected(turn.state, pool, slot) or has_ended_well or (proved is not None and proved <= turn.now.mono):
        unproven.discard(slot.index)
        return False
    if slot.failures >= CRASH_LOOP:
        return True
    is_known = slot.index in alerts.slots.get((Word.CRASH_LOOP, pool.name), set())
    return is_known or slot.index in unproven


def _proved_at(pool: Pool, slot: Slot) -> Seconds | None:
    """When its worker has lived for as long as begins a new row of failures; None: it is not healthy."""
    run = slot.run
    return run.spawned + pool.spec.backoff.max if run is not None and run.takes_jobs else None


def _await_proof(turn: Turn, pool: Pool, slot: Slot) -> None:
    """Look again when it will have shown that it works, should it be the first to do so."""
    alerts, subject, proved = turn.state.alerts, Subject(Word.CRASH_LOOP, pool.name), _proved_at(pool, slot)
    if proved is not None:
        due = max(proved, alerts.looked_at.get(subject, proved) + LOOKS_APART)
        alerts.checks[subject] = min(due, alerts.checks.get(subject, due))
        alerts.is_stale = True


def _is_given_up(turn: Turn, pool: Pool, slot: Slot) -> bool:
    return slot.given_up and is_expected(turn.state, pool, slot)


def _is_missing(turn: Turn, pool: Pool, slot: Slot) -> bool:
    return is_expected(turn.state, pool, slot) and not is_up(slot)


_HOLDS: dict[Word, Callable[[Turn, Pool, Slot], bool]] = {
    Word.CRASH_LOOP: _is_looping,
    Word.GIVEN_UP: _is_given_up,
    Word.POOL_DEGRADED: _is_missing,
}


def _rollout(turn: Turn, name: str) -> None:
    """A rollout of the fleet is one incident, whatever pools of whatever hosts it was halted in."""
    state = turn.state
    pool = state.pools.get(name)
    present = None if pool is None else _halted(pool)
    for alert in rules_on(state.alerts, Word.ROLLOUT_HALTED):
        known = [key[1] for key in state.alerts.incidents if key[0] == alert.id]
        for subject in known:
            if subject != present:
                note(turn, alert, subject, _sign_of_rollout(state, alert, subject))
        if present is not None:
            note(turn, alert, present, _sign_of_rollout(state, alert, present))


def _halted(pool: Pool) -> Subject | None:
    """What an incident is about whose rollout is halted in a pool."""
    roll = pool.roll
    if roll is None or roll.state is not RollState.HALTED or not roll.is_unfinished or pool.removed:
        return None
    return Subject(Word.ROLLOUT_HALTED, *((pool.name, None) if roll.epoch is None else (None, str(roll.epoch))))


def _sign_of_rollout(state: State, alert: AlertSpec, subject: Subject) -> Sign | None:
    for pool in state.pools.values():
        if alert.is_for(pool.name) and _halted(pool) == subject and pool.roll is not None:
            error = pool.roll.error
            return Sign() if error is None else Sign(worker=error.worker, error=error.reason)
    return None


# -- jobs ------------------------------------------------------------------------------------------------------------


def _jobs(turn: Turn, alerts: Alerts) -> None:
    """Count jobs that ended, and workers that were killed for theirs, as far as anybody wants to know."""
    if Word.JOB_FAILURES in alerts.rules:
        for name, queue, failed in turn.ended_jobs:
            rules = list(rules_on(alerts, Word.JOB_FAILURES, name))
            if any(not alert.queues for alert in rules):
                _count(turn, Subject(Word.JOB_FAILURES, name), bad=failed)
            if any(queue in alert.queues for alert in rules):
                _count(turn, Subject(Word.JOB_FAILURES, name, queue), bad=failed)
    if Word.JOB_TIMEOUT in alerts.rules:
        for fact in [effect.fact for effect in turn.effects if isinstance(effect, Announce)]:
            is_one = fact.kind is Kind.WORKER_EXITED and fact.fields["reason"] == Reason.JOB_TIMEOUT
            if is_one and next(rules_on(alerts, Word.JOB_TIMEOUT, fact.pool), None) is not None:
                _count(turn, Subject(Word.JOB_TIMEOUT, fact.pool), bad=True, worker=fact.worker)


def _count(turn: Turn, subject: Subject, *, bad: bool, worker: str | None = None) -> None:
    window = turn.state.alerts.windows.setdefault(subject, Window())
    window.add(turn.now.mono, bad=bad)
    _window(turn, subject, worker=worker, again=bad)


def _window(turn: Turn, subject: Subject, *, worker: str | None = None, again: bool = False) -> None:
    """Judge by what there was of late; look again when some of it is too long ago, if anything hangs on it."""
    alerts, window = turn.state.alerts, turn.state.alerts.windows[subject]
    window.forget(turn.now.mono)
    for alert in rules_on(alerts, subject.word, subject.pool):
        if (subject.detail in alert.queues) if alert.queues else (subject.detail is None):
            value = _figure(window, alert)
            sign = Sign(value, worker) if value > alert.above.value else None
            note(turn, alert, subject, sign, again=again and (alert.id, subject) in alerts.incidents)
    is_open = any(key[1] == subject for key in alerts.incidents)
    if is_open and window.changes_at is not None:
        alerts.checks[subject] = window.changes_at
        alerts.is_stale = True
    else:
        alerts.checks.pop(subject, None)


def _figure(window: Window, alert: AlertSpec) -> float:
    if alert.above.unit is not Unit.SHARE:
        return float(window.bad)
    return window.bad / window.all if window.all >= FEWEST_ENDED else 0.0


# -- queues, brokers, the fleet --------------------------------------------------------------------------------------


def _waits(turn: Turn, pool: Pool) -> None:
    """Judge the waits of a pool's queues; of one that is not known an incident stays as it is."""
    for place in pool.spec.places:
        wait = wait_of(pool, place.queue, turn.now)
        if wait is None:
            continue
        for alert in rules_on(turn.state.alerts, Word.LONG_WAIT, pool.name):
            if is_of(alert, place.queue):
                sign = Sign(wait.seconds) if wait.seconds > alert.above.value else None
                note(turn, alert, Subject(Word.LONG_WAIT, pool.name, place.queue), sign)


def _broker(turn: Turn, broker: str) -> None:
    state = turn.state
    error = state.brokers.get(broker)
    pools = [pool.name for pool in state.pools.values() if pool.spec.broker == broker]
    for alert in rules_on(state.alerts, Word.BROKER_LOST):
        if any(map(alert.is_for, pools)):
            note(turn, alert, Subject(Word.BROKER_LOST, None, broker), None if error is None else Sign(error=error))


def _redis(turn: Turn, event: FleetObserved | FleetLost) -> None:
    sign = Sign(error=event.error) if isinstance(event, FleetLost) else None
    for alert in rules_on(turn.state.alerts, Word.REDIS_LOST):
        note(turn, alert, Subject(Word.REDIS_LOST), sign)


def _name(turn: Turn, event: FleetObserved) -> None:
    for alert in rules_on(turn.state.alerts, Word.NAME_TAKEN):
        note(turn, alert, Subject(Word.NAME_TAKEN), Sign() if event.held_by_other else None)


# -- output ----------------------------------------------------------------------------------------------------------


def judge_output(turn: Turn, event: OutputJudged) -> None:
    """A run's output is dropped from now on, or written again."""
    run = turn.state.runs.get(event.run)
    if run is None:
        return
    runs = turn.state.alerts.dropping.setdefault(run.pool, {})
    if event.error:
        runs[event.run] = event.error
    else:
        runs.pop(event.run, None)
    _dropping(turn, run.pool)


def _dropping(turn: Turn, pool: str) -> None:
    """Judge by the runs whose output is dropped, and that are not over."""
    state = turn.state
    runs = {run: error for run, error in state.alerts.dropping.get(pool, {}).items() if run in state.runs}
    if runs:
        state.alerts.dropping[pool] = runs
    else:
        state.alerts.dropping.pop(pool, None)
    last = next(reversed(runs), None)
    for alert in rules_on(state.alerts, Word.OUTPUT_DROPPED, pool):
        sign = None
        if last is not None and len(runs) > alert.above.value:
            sign = Sign(len(runs), state.runs[last].worker, runs[last])
        note(turn, alert, Subject(Word.OUTPUT_DROPPED, pool), sign)


# -- time ------------------------------------------------------------------------------------------------------------


def _look_again(turn: Turn, alerts: Alerts) -> None:
    """Look at what may have changed by itself."""
    if alerts.next is None or alerts.next > turn.now.mono:
        return
    alerts.is_stale = True
    for subject in list(_due(alerts, turn.now)):
        del alerts.checks[subject]
        if subject.word in _OF_WINDOWS:
            _window(turn, subject)
        elif subject.pool is not None:
            alerts.looked_at[subject] = turn.now.mono
            _slots(turn, subject.word, subject.pool, list(alerts.slots.get((subject.word, subject.pool), ())))


def _due(alerts: Alerts, now: Moment) -> Iterator[Subject]:
    return (subject for subject, at in alerts.checks.items() if at <= now.mono)
