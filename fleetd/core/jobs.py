"""Counting the jobs of a run from what it reports."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from msgspec.structs import replace

from fleetd.core.effects import Count
from fleetd.core.events import JobReported, Source
from fleetd.core.facts import Kind, Value
from fleetd.core.spec import LineMeaning, Seconds
from fleetd.core.state import Job, Moment, Pool, Run
from fleetd.core.turn import Turn

UNNAMED = ""
RECENT_FINISHED, MOST_FINISHED = 16, 256  # jobs that ended, of which more lines may follow
MOST_TOLD = 20  # jobs of one worker that an event each tells of
MOST_IN_HAND = 1000  # jobs of one run; of more, the oldest counts as released
MOST_LOST = 64  # jobs of one run whose process is gone that are remembered


def account(turn: Turn, pool: Pool, run: Run, report: JobReported) -> bool:
    """Count a report; answers whether a job ended by it.

    The first message on the socket makes it the run's only source.  A job counts once per start; a start that follows
    another on a one-job worker means that the first was released.  A start in a queue that the pool does not have is a
    line of the application that looks like one.
    """
    key = report.id or report.name or UNNAMED
    if report.source is Source.SOCKET:
        if not run.by_socket:
            run.jobs.clear()  # begun in the output, which will not tell of their end any more
            run.told_before = list(run.finished)
        run.by_socket = True
        if report.meaning is LineMeaning.STARTED and key not in run.told_before:
            run.told_before.clear()  # from here on it tells of what is new
        if report.id is not None and key in run.told_before:
            if report.meaning is not LineMeaning.STARTED:
                run.told_before.remove(key)
            return False
    elif run.by_socket or _is_of_another_queue(run, report):
        return False
    if report.meaning is LineMeaning.STARTED:
        return _start(turn, pool, run, key, report)
    return _end(turn, pool, run, key, report)


def _is_of_another_queue(run: Run, report: JobReported) -> bool:
    """Whether it tells of a start in a queue that is none of those that its worker was started for, if known."""
    known = run.release.spec.only_queues
    return (
        report.meaning is LineMeaning.STARTED and report.queue is not None and bool(known) and report.queue not in known
    )


def _start(turn: Turn, pool: Pool, run: Run, key: str, report: JobReported) -> bool:
    run.tells_starts = True
    if key in run.finished:
        run.finished.remove(key)  # it is tried again
    run.lost.pop(key, None)
    key = report.id or key_without_id(run, report.name)
    most = MOST_IN_HAND if pool.spec.jobs_at_once != 1 else 1
    stale = [key] if key in run.jobs else list(run.jobs)[: max(0, len(run.jobs) - most + 1)]
    for other in stale:
        del run.jobs[other]
        run.jobs_released += 1
    queue = report.queue or _only_queue(pool)
    run.jobs[key] = Job(report.id, report.name, queue, turn.now.mono, turn.now.unix, report.process)
    run.most_in_hand = max(run.most_in_hand, len(run.jobs))
    if report.enqueued_at is not None:
        wait = max(0.0, turn.now.unix - report.enqueued_at)
        pool.ledger.start(queue, report.name, wait)
        turn.state.history.start(turn.now.unix, pool.name, pool.ledger.row_of(queue), wait)
    return bool(stale)


def _end(turn: Turn, pool: Pool, run: Run, key: str, report: JobReported) -> bool:
    if report.id is None and pool.spec.jobs_at_once == 1 and run.jobs:
        key = next(iter(run.jobs))  # it does not say which, and there is but one
    job = _take(run.jobs, key, report) or _found(run, key, report)
    if job is not None and job.id is None:
        _doubt(run, job.name)
    if job is None and _is_repeated(run, key, report):
        return False
    _remember(run, key if job is None or job.id is not None else job.name or UNNAMED)  # as the next line names it
    if report.meaning is LineMeaning.RELEASED:
        run.jobs_released += 1
        return True
    failed = report.meaning is LineMeaning.FAILED
    if failed:
        run.jobs_failed += 1
    else:
        run.jobs_done += 1
    queue = report.queue or (job.queue if job is not None else _only_queue(pool))
    name = report.name or (job.name if job is not None else None)
    runtime = report.runtime if report.runtime is not None else _measured(job, turn.now)
    turn.ended_jobs.append((pool.name, queue, failed))
    turn.state.history.end(turn.now.unix, pool.name, pool.ledger.row_of(queue), runtime, failed=failed)
    turn.emit(Count(pool.name, pool.ledger.end(queue, name, runtime, turn.now.mono, failed=failed)))
    return True


def _remember(run: Run, key: str) -> None:
    """Remember that a job ended, among more the more are done at once: lines about the others come between its own."""
    window = min(MOST_FINISHED, max(RECENT_FINISHED, 4 * run.most_in_hand, len(run.finished)))
    run.finished.append(key)
    del run.finished[:-window]


def key_without_id(run: Run, name: str | None) -> str:
    """A key of its own among the jobs in hand, for a job that has no id: several of one name may be."""
    return next(key for n in count(len(run.jobs)) if (key := f"{name or UNNAMED}\n{n}") not in run.jobs)


def _take(jobs: dict[str, Job], key: str, report: JobReported) -> Job | None:
    """The job that a report is about; without an id the oldest of its name."""
    if report.id is None:
        alike = (other for other, job in jobs.items() if job.id is None and (job.name or UNNAMED) == key)
        key = next(alike, key)
    return jobs.pop(key, None)


def _doubt(run: Run, name: str | None) -> None:
    """An end was told without an id: whose it was, nobody knows, so none of its name is in hand for sure.

    Where an end is missing, one of them is over; to end a worker for it would cut another job short, or none at all.
    """
    for key, job in run.jobs.items():
        if job.id is None and job.name == name and not job.may_be_over:
            run.jobs[key] = replace(job, may_be_over=True)


def _found(run: Run, key: str, report: JobReported) -> Job | None:
    """A lost job of whose end another process tells: that counts instead of the release."""
    job = _take(run.lost, key, report)
    run.jobs_released -= job is not None
    return job


def _only_queue(pool: Pool) -> str | None:
    """The queue of a job that does not say which: there is but one."""
    queues = pool.spec.launch.queues
    return queues[0] if len(queues) == 1 else None


def _is_repeated(run: Run, key: str, report: JobReported) -> bool:
    """Whether the end of a job that is not in hand was told before (frameworks report one failure in several lines).

    Without an id the name of a job is no proof, unless its start would have been told.
    """
    return key in run.finished and (report.id is not None or run.tells_starts)


def _measured(job: Job | None, now: Moment) -> Seconds | None:
    return None if job is None else now.mono - job.started


def release_all(run: Run) -> None:
    """A planned exit with jobs in hand: they count as given back, neither done nor failed."""
    run.jobs_released += len(run.jobs)
    run.jobs.clear()


def lose(turn: Turn, run: Run, process: int) -> bool:
    """A process is gone, and its worker is not: its jobs are in hand no more; answers whether it had any."""
    lost = {key: job for key, job in run.jobs.items() if job.process == process}
    tell_interrupted(turn, run, lost.values())
    for key, job in lost.items():
        del run.jobs[key]
        run.lost[key] = job
    run.jobs_released += len(lost)
    for key in list(run.lost)[:-MOST_LOST]:
        del run.lost[key]
    return bool(lost)


def tell_interrupted(turn: Turn, run: Run, jobs: Iterable[Job]) -> None:
    """Jobs were in hand of what ended before them: what becomes of them is for their framework and broker."""
    for job in list(jobs)[:MOST_TOLD]:
        ran = round(turn.now.mono - job.started, 3)
        told: dict[str, Value] = {"id": job.id, "name": job.name, "queue": job.queue, "ran": ran, "run": run.id}
        turn.tell(Kind.JOB_INTERRUPTED, run.pool, run.slot, told)
