"""What follows a worker's own exit: at once, paced, after a backoff, or nothing."""

from __future__ import annotations

from fleetd.core import backoff
from fleetd.core.facts import Kind
from fleetd.core.spec import Restart, Seconds
from fleetd.core.state import Pool, Reason, Run, Slot
from fleetd.core.turn import Turn

SPINNING_AFTER = 20  # planned exits in a row without a job, each in under healthy-after
SPINNING_PAUSE: Seconds = 1 / 20  # between two starts of one such slot
SPINNING_PAUSE_OF_ALL: Seconds = 1 / 100  # between two starts among all such slots of the daemon
CRASH_LOOP = 5  # unplanned exits in a row

# What the pool file asked for, even where the framework's own flag carried it out.
BY_LIMIT = frozenset({Reason.MAX_JOBS, Reason.MAX_MEMORY, Reason.MAX_LIFETIME})


def after_end(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    """A run ended as planned, or as it was asked to."""
    slot.failures = 0
    by_limit = slot.last_exit is not None and slot.last_exit.reason in BY_LIMIT
    if run.ending is None and not by_limit and pool.spec.restart is not Restart.ALWAYS:
        slot.finished = True
    elif slot.idle_exits >= SPINNING_AFTER:
        _pace(turn, pool, slot)


def _pace(turn: Turn, pool: Pool, slot: Slot) -> None:
    state, now = turn.state, turn.now.mono
    if slot.idle_exits == SPINNING_AFTER:
        turn.tell(Kind.WORKER_SPINNING, pool.name, slot.index, {"exits": slot.idle_exits})
    slot.retry_at = max((slot.last_start or 0.0) + SPINNING_PAUSE, state.next_paced_start, now)
    state.next_paced_start = slot.retry_at + SPINNING_PAUSE_OF_ALL


def after_failure(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    """A run ended unplanned, or could not be started: the next one waits.

    The life of one that was healthy counts as waiting, so that a single crash is answered at once, and a worker that
    crashes again and again still starts no more often than the backoff says.
    """
    if pool.spec.restart is Restart.NEVER and not run.is_leaving:
        slot.finished = True
        return
    count_failure(turn, pool, slot, run)
    if backoff.has_given_up(pool.spec.give_up, slot.failed_at, turn.now.mono):
        slot.given_up = True
        turn.tell(Kind.WORKER_GIVEN_UP, pool.name, slot.index, {"failures": slot.failures, "lines": slot.last_lines})
        return
    pause = backoff.delay(pool.spec.backoff, slot.failures, turn.state.chance.uniform())
    wait = pause - (turn.now.mono - run.spawned if run.was_healthy else 0.0)
    if wait > 0:
        slot.retry_at = turn.now.mono + wait
        slot.in_backoff = True
        turn.tell(Kind.WORKER_BACKOFF, pool.name, slot.index, {"failures": slot.failures, "wait": round(wait, 3)})


def count_failure(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    """Count one more in the row; a run that stayed starts a new row."""
    if has_stayed(pool, run, turn.now.mono):
        slot.failures = 0
    slot.failures += 1
    if pool.spec.give_up is not None:
        slot.failed_at.append(turn.now.mono)
        del slot.failed_at[: -pool.spec.give_up.failures]
    if slot.failures == CRASH_LOOP:
        turn.tell(Kind.WORKER_CRASH_LOOP, pool.name, slot.index, {"failures": slot.failures, "lines": slot.last_lines})


def has_stayed(pool: Pool, run: Run, now: Seconds) -> bool:
    """Whether a run was well for as long as the longest backoff: what failed before it is over."""
    return run.was_healthy and now - run.spawned >= pool.spec.backoff.max


def forgive(slot: Slot) -> None:
    """Begin a new row: the operator starts it again, or a new release works."""
    slot.given_up = slot.finished = slot.in_backoff = False
    slot.retry_at = None
    slot.failures = 0
    slot.failed_at.clear()
