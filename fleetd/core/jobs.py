"""Counting the jobs of a run from what it reports."""

from __future__ import annotations

from fleetd.core.events import JobReported, Source
from fleetd.core.spec import LineMeaning, Seconds
from fleetd.core.state import RECENT_FINISHED, Job, Moment, Pool, Run
from fleetd.core.turn import Turn

UNNAMED = ""


def account(turn: Turn, pool: Pool, run: Run, report: JobReported) -> bool:
    """Count a report; answers whether a job ended by it.

    The first message on the socket makes it the run's only source.  A job counts once per start; a start that follows
    another on a one-job worker means that the first was released.
    """
    if report.source is Source.SOCKET:
        if not run.by_socket:
            run.jobs.clear()  # begun in the output, which will not tell of their end any more
        run.by_socket = True
    elif run.by_socket:
        return False
    key = report.id or report.name or UNNAMED
    if report.meaning is LineMeaning.STARTED:
        return _start(turn, pool, run, key, report)
    return _end(turn, pool, run, key, report)


def _start(turn: Turn, pool: Pool, run: Run, key: str, report: JobReported) -> bool:
    run.tells_starts = True
    if key in run.finished:
        run.finished.remove(key)  # it is tried again
    stale = [other for other in run.jobs if other == key or pool.spec.jobs_at_once == 1]
    for other in stale:
        del run.jobs[other]
        run.jobs_released += 1
    run.jobs[key] = Job(report.id, report.name, report.queue, turn.now.mono, turn.now.unix)
    return bool(stale)


def _end(turn: Turn, pool: Pool, run: Run, key: str, report: JobReported) -> bool:
    if report.id is None and pool.spec.jobs_at_once == 1 and run.jobs:
        key = next(iter(run.jobs))  # it does not say which, and there is but one
    job = run.jobs.pop(key, None)
    if job is None and _is_repeated(run, key, report):
        return False
    run.finished.append(key)
    del run.finished[:-RECENT_FINISHED]
    if report.meaning is LineMeaning.RELEASED:
        run.jobs_released += 1
        return True
    if report.meaning is LineMeaning.DONE:
        run.jobs_done += 1
        pool.jobs_done += 1
    else:
        run.jobs_failed += 1
        pool.jobs_failed += 1
    runtime = report.runtime if report.runtime is not None else _measured(job, turn.now)
    if runtime is not None:
        pool.runtimes.append(runtime)
    _note_finished(pool, turn.now)
    return True


def _is_repeated(run: Run, key: str, report: JobReported) -> bool:
    """Whether the end of a job that is not in hand was told before (frameworks report one failure in several lines).

    Without an id the name of a job is no proof, unless its start would have been told.
    """
    return key in run.finished and (report.id is not None or run.tells_starts)


def _measured(job: Job | None, now: Moment) -> Seconds | None:
    return None if job is None else now.mono - job.started


def _note_finished(pool: Pool, now: Moment) -> None:
    second = int(now.mono)
    if pool.finished and pool.finished[-1][0] == second:
        pool.finished[-1] = (second, pool.finished[-1][1] + 1)
    else:
        pool.finished.append((second, 1))


def release_all(run: Run) -> None:
    """A planned exit with jobs in hand: they were given back, neither done nor failed."""
    run.jobs_released += len(run.jobs)
    run.jobs.clear()
