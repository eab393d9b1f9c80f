"""The slot table: what happens to one run when something happens to it.

A (phase, event) pair that is not in TABLE changes nothing.  Each handler answers with an Outcome when the pool's rules
(`fleetd.core.reconcile`) have to know; none of them decides about another run.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from fleetd.core import actions, exits, jobs, unheard
from fleetd.core.deadlines import job_must_end
from fleetd.core.events import (
    AskedForTime,
    Event,
    Exited,
    JobReported,
    ProcessGone,
    SaidAlive,
    SaidReady,
    SaidStatus,
    SaidStopping,
    SignalLost,
    Source,
    Spawned,
    SpawnFailed,
)
from fleetd.core.facts import Kind
from fleetd.core.spec import LineMeaning, Ready
from fleetd.core.state import LastExit, Phase, Pool, Reason, Run, Slot
from fleetd.core.turn import Turn


class Outcome(Enum):
    """What the pool's rules have to know of a run."""

    SPAWNED = auto()
    HEALTHY = auto()
    REACHED_MAX_JOBS = auto()
    ENDED = auto()  # as planned
    FAILED = auto()  # ended unplanned, or could not be started


Handler = Callable[[Turn, Pool, Slot, Run, Any], Outcome | None]


def _spawned(turn: Turn, pool: Pool, slot: Slot, run: Run, event: Spawned) -> Outcome | None:
    run.phase = Phase.STARTING
    run.pid = event.pid
    run.directory = event.directory
    run.spawned = turn.now.mono
    run.start_by = turn.now.mono + pool.spec.start_timeout
    if pool.spec.ready is Ready.AGE:
        run.ready_since = turn.now.mono
    turn.record(run)
    turn.tell(Kind.WORKER_STARTED, run.pool, run.slot, {"pid": event.pid, "directory": event.directory, "run": run.id})
    if run.is_leaving:
        actions.send_drain(turn, run)
    return Outcome.SPAWNED


def _spawn_failed(turn: Turn, pool: Pool, slot: Slot, run: Run, event: SpawnFailed) -> Outcome:
    reason = run.ending or Reason.START_FAILED
    slot.last_exit = LastExit(None, None, reason, turn.now.unix, event.error)
    slot.last_lines = (event.error,)
    turn.tell(Kind.WORKER_START_FAILED, run.pool, run.slot, {"error": event.error})
    turn.forget(run)
    return Outcome.FAILED if run.ending is None else Outcome.ENDED


def _exited(turn: Turn, pool: Pool, slot: Slot, run: Run, event: Exited) -> Outcome:
    spec = run.release.spec
    planned = exits.is_planned(spec, run, event)
    in_hand = run.oldest_job
    if exits.cut_jobs_short(spec, run, event):
        jobs.tell_interrupted(turn, run, run.jobs.values())
    if planned:
        jobs.release_all(run)
    reason = exits.reason_of(spec, run, event)
    slot.last_exit = LastExit(event.code, event.signal, reason, turn.now.unix)
    slot.last_lines = event.last_lines
    lived = turn.now.mono - run.spawned
    told = {
        "reason": reason,
        "code": event.code,
        "signal": event.signal,
        "planned": planned,
        "pid": run.pid,
        "run": run.id,
        "lived": round(lived, 3),
        "jobs_done": run.jobs_done,
        "jobs_failed": run.jobs_failed,
        "job": None if in_hand is None else in_hand.id or in_hand.name,
        "lines": () if planned else event.last_lines,
    }
    turn.tell(Kind.WORKER_EXITED, run.pool, run.slot, told)
    if event.leftover:
        turn.tell(Kind.WORKER_LEFTOVER, run.pool, run.slot, {"pids": tuple(map(str, event.leftover))})
    turn.forget(run)
    slot.idle_exits = slot.idle_exits + 1 if planned and run.ending is None and _did_nothing(pool, run, lived) else 0
    return Outcome.ENDED if planned else Outcome.FAILED


def _did_nothing(pool: Pool, run: Run, lived: float) -> bool:
    return run.jobs_counted == 0 and lived < pool.spec.healthy_after


def _reported(turn: Turn, pool: Pool, slot: Slot, run: Run, event: JobReported) -> Outcome | None:
    may_be_untold = run.phase is Phase.DRAINING and not run.told_to_end
    in_hand = frozenset(run.jobs) if may_be_untold else frozenset[str]()
    ended = jobs.account(turn, pool, run, event)
    if may_be_untold and run.jobs.keys() - in_hand:
        actions.drain_after_all(turn, run)
    if event.meaning is LineMeaning.DONE:  # of another end more may have to be done, which a signal would cut short
        unheard.watch(run, turn.now.mono, 0.0)
    else:
        unheard.watch(run, turn.now.mono)
    turn.record(run)
    if not ended:
        return None
    turn.must_remember = True
    if run.phase is Phase.STARTING and pool.spec.ready is not Ready.NOTIFY:
        _mark_ready(turn, pool, run)
    return Outcome.REACHED_MAX_JOBS if run.reached_max_jobs else None


def _process_gone(turn: Turn, pool: Pool, slot: Slot, run: Run, event: ProcessGone) -> Outcome | None:
    if event.process == run.pid or not jobs.lose(turn, run, event.process):  # of its main process Exited tells
        return None
    unheard.watch(run, turn.now.mono)
    turn.record(run)
    return Outcome.REACHED_MAX_JOBS if run.reached_max_jobs else None


def _signal_lost(turn: Turn, pool: Pool, slot: Slot, run: Run, event: SignalLost) -> Outcome | None:
    unheard.lose(turn, run)
    return None


def _said_ready(turn: Turn, pool: Pool, slot: Slot, run: Run, event: SaidReady) -> Outcome | None:
    if event.source is Source.SOCKET or pool.spec.ready is Ready.LINE:
        _mark_ready(turn, pool, run)
    return None


def _mark_ready(turn: Turn, pool: Pool, run: Run) -> None:
    if run.ready_since is None:
        run.ready_since = turn.now.mono
        turn.record(run)


def _said_status(turn: Turn, pool: Pool, slot: Slot, run: Run, event: SaidStatus) -> Outcome | None:
    run.status_text = event.text
    return None


def _said_stopping(turn: Turn, pool: Pool, slot: Slot, run: Run, event: SaidStopping) -> Outcome | None:
    run.says_stopping = True
    return None


def _said_alive(turn: Turn, pool: Pool, slot: Slot, run: Run, event: SaidAlive) -> Outcome | None:
    run.alive_since = turn.now.mono
    return None


def _asked_for_time(turn: Turn, pool: Pool, slot: Slot, run: Run, event: AskedForTime) -> Outcome | None:
    until = turn.now.mono + event.extend
    if run.phase is Phase.DRAINING and run.kill_at is not None:
        later = max(run.kill_at, until)
        run.kill_at = later if run.ends_by is None else min(later, run.ends_by)
    else:
        run.start_by = max(run.start_by, until)
    return None


_LIVING = (Phase.STARTING, Phase.HEALTHY, Phase.DRAINING)
_HELD = (Phase.SPAWNING, *_LIVING, Phase.KILLED)

TABLE: dict[tuple[Phase, type[Event]], Handler] = {
    (Phase.SPAWNING, Spawned): _spawned,
    (Phase.SPAWNING, SpawnFailed): _spawn_failed,
    **{(phase, Exited): _exited for phase in _HELD},
    **{(phase, JobReported): _reported for phase in (*_LIVING, Phase.KILLED)},
    **{(phase, ProcessGone): _process_gone for phase in _LIVING},  # of one that is killed Exited tells
    (Phase.STARTING, SaidReady): _said_ready,
    (Phase.DRAINING, SignalLost): _signal_lost,
    **{(phase, SaidStatus): _said_status for phase in _LIVING},
    **{(phase, SaidStopping): _said_stopping for phase in _LIVING},
    **{(phase, SaidAlive): _said_alive for phase in _LIVING},
    **{(phase, AskedForTime): _asked_for_time for phase in _LIVING},
}


def step(turn: Turn, pool: Pool, slot: Slot, run: Run, event: Event) -> Outcome | None:
    """Apply an event to a run."""
    handler = TABLE.get((run.phase, type(event)))
    return None if handler is None else handler(turn, pool, slot, run, event)


def on_time(turn: Turn, pool: Pool, slot: Slot, run: Run) -> Outcome | None:
    """Apply the deadlines of a run that have passed."""
    now = turn.now.mono
    if run.phase in (Phase.SPAWNING, Phase.KILLED):
        return None
    overtime = job_must_end(pool.spec, run)
    if overtime is not None and now >= overtime:
        actions.kill(turn, run, Reason.JOB_TIMEOUT)
        return None
    if run.phase is Phase.DRAINING:
        if run.kill_at is not None and now >= run.kill_at:
            actions.kill(turn, run, Reason.STOP)
        elif run.drain_again_at is not None and now >= run.drain_again_at:
            unheard.send_again(turn, run)
        return None
    if run.phase is Phase.STARTING:
        if _has_proved_itself(turn, pool, run):
            return _become_healthy(turn, run, pool)
        if now >= run.start_by:
            actions.kill(turn, run, Reason.START_FAILED)
        return None
    if run.phase is Phase.HEALTHY:
        _enforce(turn, pool, slot, run)
    return None


def _has_proved_itself(turn: Turn, pool: Pool, run: Run) -> bool:
    return run.ready_since is not None and turn.now.mono >= run.ready_since + pool.spec.healthy_after


def _become_healthy(turn: Turn, run: Run, pool: Pool) -> Outcome:
    run.phase = Phase.HEALTHY
    run.was_healthy = True
    run.alive_since = turn.now.mono
    turn.record(run)
    turn.tell(Kind.WORKER_HEALTHY, run.pool, run.slot, {"pid": run.pid})
    return Outcome.HEALTHY


def _enforce(turn: Turn, pool: Pool, slot: Slot, run: Run) -> None:
    """End what is silent for too long, have replaced what lives for too long."""
    now, spec = turn.now.mono, pool.spec
    if spec.watchdog is not None and run.alive_since is not None and now >= run.alive_since + spec.watchdog:
        actions.kill(turn, run, Reason.WATCHDOG)
        return
    if run.lifetime_ends is not None and now >= run.lifetime_ends and slot.run is run and slot.recycle is None:
        slot.recycle = Reason.MAX_LIFETIME
        pool.recycling.add(slot.index)
