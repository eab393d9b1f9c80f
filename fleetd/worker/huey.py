"""huey's jobs, told to fleetd: `from fleetd.worker import huey as fleetd; fleetd.connect(huey)` after huey is made.

Tells start, end, name, id and queue of each task; huey does not know when one was enqueued.  An attempt that raised has
failed, whether or not it is tried again; one that did not run (a lock, a rate limit, a retry it asked for) is released.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fleetd import worker

_LAST_WAIT = 5.0  # seconds that a process waits at its end until fleetd has everything
_NAME = "fleetd"
_MEANINGS: dict[str, worker.What] = {
    "executing": "started",
    "complete": "done",
    "error": "failed",
    "timeout": "failed",
    "interrupted": "failed",
    # The others are no end that the application reports elsewhere, or tell of a job that was never started.
    "retrying": "released",
    "canceled": "released",
    "locked": "released",
    "rate-limited": "released",
}


def connect(huey: Any) -> None:
    """Have the consumer's workers tell of their jobs; a second call for the same instance changes nothing."""
    if _NAME in huey._shutdown:  # noqa: SLF001 - there is no other way to ask
        return
    huey.signal(*_MEANINGS)(_on_signal(huey))
    # A worker of type `process` ends by os._exit().
    huey.on_shutdown(_NAME)(_on_shutdown)


def _on_signal(huey: Any) -> Callable[..., None]:
    def receive(signal: str, task: Any, *_: Any) -> None:
        worker.report(_MEANINGS[signal], task.name, huey.name, id=task.id)

    return receive


def _on_shutdown() -> None:
    worker.flush(_LAST_WAIT)
