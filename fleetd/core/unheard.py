"""A drain signal that was lost on its worker, and is sent once more.

A worker whose signal handler raises an exception goes on as if nothing had been said where code further in swallows it:
RQ's does in the moment in which it writes a line of its log.  Such a worker would do jobs, with the old code, until
`stop-timeout` kills it in the middle of one.  Its output tells of the loss (a pattern of the meaning `unheard`):
without that no signal is repeated, as a second one may end a job at once.
"""

from __future__ import annotations

from fleetd.core.effects import Signal
from fleetd.core.facts import Kind
from fleetd.core.spec import Seconds
from fleetd.core.state import Phase, Run
from fleetd.core.turn import Turn

APART: Seconds = 2.0  # two signals at least: RQ takes those within 1 s for one
IDLE: Seconds = 10.0  # without a known job for so long: one whose start its output did not tell is hardly in hand


def lose(turn: Turn, run: Run) -> None:
    """The worker has told that the drain signal was lost."""
    run.signal_lost = True
    watch(run, turn.now.mono)
    turn.record(run)


def watch(run: Run, now: Seconds, wait: Seconds = IDLE) -> None:
    """From when a worker that has lost its signal has no job in hand, it is told again after `wait` seconds.

    A wait of 0 is over when all that was read with the end of its last job is known, as the start of the next one.
    """
    is_due = run.phase is Phase.DRAINING and run.signal_lost and not run.is_busy
    apart = now if run.drained_since is None else run.drained_since + APART
    run.drain_again_at = max(now + wait, apart) if is_due else None


def send_again(turn: Turn, run: Run) -> None:
    """Send the drain signal once more."""
    run.drain_again_at = None
    run.signal_lost = False
    run.told_to_end = True
    turn.record(run)
    turn.emit(Signal(run.id, run.release.spec.stop_signal))
    turn.tell(Kind.WORKER_DRAIN_REPEATED, run.pool, run.slot, {"reason": run.ending, "pid": run.pid})
