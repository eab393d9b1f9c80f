"""Dramatiq's jobs, told to fleetd: `from fleetd.worker import dramatiq; dramatiq.connect(broker)` beside its broker.

Tells start, end, name, id, queue and enqueue time of each message.  An attempt that failed and is retried is released.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fleetd import worker

_LAST_WAIT = 5.0  # seconds that a process waits at its end until fleetd has everything


def connect(broker: Any) -> None:
    """Have the broker's workers tell of their jobs; a second call for the same broker changes nothing."""
    kind = _middleware()
    if any(getattr(other, "tells_fleetd", False) for other in broker.middleware):
        return
    # What stands first hears of an end last: by then it is known whether a message is retried.
    first = {"before": type(broker.middleware[0])} if broker.middleware else {}
    broker.add_middleware(kind(), **first)


def _middleware() -> Any:
    base: Any = import_module("dramatiq").Middleware

    class FleetdMiddleware(base):  # type: ignore[misc]
        """Hears of every message that a worker processes."""

        tells_fleetd = True

        def before_process_message(self, _broker: Any, message: Any) -> None:
            _tell("started", message)

        def after_process_message(
            self, _broker: Any, message: Any, *, exception: BaseException | None = None, **_: Any
        ) -> None:
            _tell("done" if exception is None else _ended(message), message)

        def after_skip_message(self, _broker: Any, message: Any) -> None:
            _tell(_ended(message), message)

        def after_worker_boot(self, _broker: Any, _worker: Any) -> None:
            worker.ready()

        def after_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
            # The interpreter of a worker process does not come to its end: os._exit() follows.
            worker.flush(_LAST_WAIT)

    return FleetdMiddleware


def _ended(message: Any) -> worker.Outcome:
    return "failed" if message.failed else "released"


def _tell(what: worker.What, message: Any) -> None:
    times = [float(value) for value in (message.message_timestamp, message.options.get("eta")) if value]
    worker.report(
        what,
        message.actor_name,
        message.queue_name,
        id=message.message_id,
        enqueued_at=max(times) / 1000 if times and what == "started" else None,
    )
