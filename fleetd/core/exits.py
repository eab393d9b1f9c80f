"""What an exit means: planned or not, and for which reason."""

from __future__ import annotations

from fleetd.core.events import Exited
from fleetd.core.spec import PoolSpec
from fleetd.core.state import Phase, Reason, Run

SIGKILL = 9

# What fleetd ended because it went wrong: followed by a backoff like a crash.
FAILURES = frozenset({Reason.START_FAILED, Reason.WATCHDOG})


def is_planned(spec: PoolSpec, run: Run, exit_: Exited) -> bool:
    """Whether a run ended as it should, or as it was told to.

    An unknown exit code counts as planned only if the run was asked to end, said STOPPING=1, or reached max-jobs.
    """
    if exit_.oom and not run.is_leaving:
        return False
    if run.ending is not None:
        return run.ending not in FAILURES
    if exit_.code is None and exit_.signal is None:
        return run.says_stopping or run.reached_max_jobs
    return exit_.signal is None and exit_.code in spec.exit_codes


def cut_jobs_short(spec: PoolSpec, run: Run, exit_: Exited) -> bool:
    """Whether jobs in hand were interrupted, not given back: it ended unplanned, or was killed as it did not end."""
    was_killed = exit_.signal == SIGKILL or (run.phase is Phase.KILLED and not run.is_over)
    return was_killed or not is_planned(spec, run, exit_)


def shows_it_works(spec: PoolSpec, run: Run) -> bool:
    """Whether a planned exit counts as healthy: a job was counted in the run, or the framework reports none."""
    return run.jobs_counted > 0 or not spec.reports_jobs


def reason_of(spec: PoolSpec, run: Run, exit_: Exited) -> Reason:
    """Why a run ended: what fleetd asked for, else what the worker's limits and exit code say."""
    if run.ending is not None:
        return run.ending
    if exit_.oom:
        return Reason.OOM
    if exit_.signal is not None:
        return Reason.SIGNAL
    if exit_.code is not None and exit_.code in spec.exit_reasons:
        return Reason(spec.exit_reasons[exit_.code])
    if run.reached_max_jobs and is_planned(spec, run, exit_):
        return Reason.MAX_JOBS
    return Reason.EXIT
