"""A drain signal that its worker has not heard, and that is sent once more.

A worker whose signal handler raises an exception goes on as if nothing had been said where code further in swallows it:
RQ's does in the moment in which it writes a line of its log.  Such a worker would do jobs, with the old code, until
`stop-timeout` kills it in the middle of one.  A framework's file says with `repeat-drain` that this happens to it.  As
a second signal may end a job at once, it is sent only while none is in hand.
"""

from __future__ import annotations

from fleetd.core.effects import Signal
from fleetd.core.facts import Kind
from fleetd.core.spec import Seconds
from fleetd.core.state import Phase, Run
from fleetd.core.turn import Turn

LAST_JOB: Seconds = 2.0  # after the signal; who begins one later has not heard it
IDLE: Seconds = 10.0  # who has been without a job for so long and is still there has not heard it


def is_shown_by_jobs(run: Run) -> bool:
    """Whether a job in hand was begun so late that the worker cannot have heard the signal before."""
    since = run.drained_since
    return _may_be(run) and since is not None and any(job.started > since + LAST_JOB for job in run.jobs.values())


def watch(run: Run, now: Seconds) -> None:
    """From when a draining run has no job in hand, it has IDLE to end."""
    is_idle = _may_be(run) and run.tells_starts and not run.is_busy
    run.drain_again_at = now + IDLE if is_idle else None


def send_again(turn: Turn, run: Run) -> None:
    """Send the drain signal once more."""
    run.drain_again_at = None
    turn.emit(Signal(run.id, run.release.spec.stop_signal))
    turn.tell(Kind.WORKER_DRAIN_REPEATED, run.pool, run.slot, {"reason": run.ending, "pid": run.pid})


def _may_be(run: Run) -> bool:
    return run.phase is Phase.DRAINING and run.release.spec.repeat_drain
