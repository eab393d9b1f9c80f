"""Celery's jobs, told to fleetd: `from fleetd.worker import celery; celery.connect()` where the application is made.

Tells start, end, name, id and queue of each task, and when it was published, if the publisher says `connect()` too (it
does where it imports the application).  For the prefork, threads and solo pools.  A task that is called in place
(`apply()`, `task_always_eager`) was in no queue: it is a part of what calls it, and no job.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from typing import Any

from fleetd import worker

PUBLISHED = "fleetd_published_at"
"""The header of a message that holds when it was published, in Unix seconds."""

_LAST_WAIT = 5.0  # seconds that a child process waits at its end until fleetd has everything
_OUTCOMES: Mapping[str | None, worker.Outcome] = {
    "SUCCESS": "done",
    "RETRY": "released",
    "REJECTED": "released",
    "IGNORED": "released",
}
_LOST = ("WorkerLostError", "TimeLimitExceeded")  # what the parent says of a child that cannot say anything more


def connect() -> None:
    """Listen to Celery's signals from now on; a second call changes nothing."""
    signals: Any = import_module("celery.signals")
    receivers = {
        "before_task_publish": _on_publish,
        "task_prerun": _on_start,
        "task_postrun": _on_end,
        "task_failure": _on_failure,
        "worker_ready": _on_ready,
        "worker_process_shutdown": _on_process_end,
    }
    for signal, receiver in receivers.items():
        getattr(signals, signal).connect(receiver, weak=False, dispatch_uid=f"fleetd.{signal}")


def _on_publish(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        headers[PUBLISHED] = time.time()


def _on_start(task_id: str, task: Any, **_: Any) -> None:
    request = task.request
    if request.is_eager:
        return
    worker.report("started", task.name, _queue(task.app, request), id=task_id, enqueued_at=_enqueued_at(request))


def _on_end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    if task.request.is_eager:
        return
    outcome = _OUTCOMES.get(state, "failed")
    worker.report(outcome, task.name, _queue(task.app, task.request), id=task_id)


def _on_failure(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    if type(exception).__name__ in _LOST:
        worker.report("failed", sender.name, id=task_id)


def _on_ready(**_: Any) -> None:
    worker.ready()


def _on_process_end(**_: Any) -> None:
    # The interpreter of a child does not come to its end: os._exit() follows.
    worker.flush(_LAST_WAIT)


def _queue(app: Any, request: Any) -> str | None:
    """The queue that a message came from, which it does not say; None if several fit.

    It is the one that is named as the routing key, the only one of the exchange, or the only one at all.
    """
    consumed: Mapping[str, Any] = app.amqp.queues.consume_from
    where: Mapping[str, Any] = request.delivery_info or {}
    if where.get("routing_key") in consumed:
        return str(where["routing_key"])
    fitting = [name for name, queue in consumed.items() if queue.exchange.name == where.get("exchange")]
    for names in (fitting, list(consumed)):
        if len(names) == 1:
            return names[0]
    return None


def _enqueued_at(request: Any) -> float | None:
    """When the task could have been started first: when it was published, or when it was due."""
    published = request.get(PUBLISHED)
    if not isinstance(published, int | float):
        return None
    try:
        due = datetime.fromisoformat(request.eta).timestamp() if request.eta else 0.0
    except (TypeError, ValueError):
        due = 0.0
    return max(float(published), due)
