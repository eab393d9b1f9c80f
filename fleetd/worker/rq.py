"""RQ's jobs, told to fleetd by a worker class: `worker-class = "fleetd.worker.rq.Worker"` in the pool's options.

RQ's own lines tell all but when a job was enqueued, and so how long jobs waited.  The worker's main process tells, not
its work horse: a horse that dies takes nothing with it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import rq
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job

from fleetd import worker

_OUTCOMES: dict[str, worker.Outcome] = {
    "finished": "done",
    "failed": "failed",
    "stopped": "failed",
}


class Worker(rq.Worker):
    """RQ's `Worker`, which tells of each job, and hears the signal to end also while it writes a line of its log.

    RQ's own ends by an exception, which `logging` swallows there.
    """

    def request_stop(self, signum: Any, frame: Any) -> None:
        """Take no more jobs, and end."""
        self._stop_requested = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def execute_job(self, job: Job, queue: Any) -> None:
        """Perform the job in a work horse, as RQ does."""
        name = _name(job)
        worker.report("started", name, job.origin, id=job.id, enqueued_at=_enqueued_at(job))
        try:
            super().execute_job(job, queue)
        finally:
            worker.report(outcome(job), name, job.origin, id=job.id)


def _name(job: Job) -> str:
    with suppress(Exception):  # what cannot be loaded fails in the work horse, where RQ tells why
        return str(job.func_name)
    return "unknown"


def _enqueued_at(job: Job) -> float | None:
    at: datetime | None = job.enqueued_at
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def outcome(job: Job) -> worker.Outcome:
    """What became of the job; one that is gone was done, and its result not kept; another waits to be tried again."""
    try:
        status: Any = job.get_status(refresh=True)
    except (InvalidJobOperation, NoSuchJobError):  # up to RQ 1.16 the status of one that is gone is None
        return "done"
    except Exception:  # noqa: BLE001 - no Redis, so nobody knows; nothing that is said here may end the worker
        return "released"
    return "done" if status is None else _OUTCOMES.get(getattr(status, "value", status), "released")
