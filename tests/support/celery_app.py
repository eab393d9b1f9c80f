"""A real Celery application: the stock `celery worker` on Redis or RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from celery import Celery
from celery.signals import before_task_publish

from fleetd.worker import celery as tell
from tests.support.python_app import PythonApp, fails, numbered


@dataclass(frozen=True, slots=True)
class CeleryApp(PythonApp):
    """With `exchange` its queues are fed by that topic exchange."""

    exchange: str = ""
    name: ClassVar[str] = "celery"
    repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super(CeleryApp, self).__post_init__()
        self.environment["CELERY_BROKER_URL"] = self.broker
        if self.exchange:
            self.environment["JOBS_EXCHANGE"] = self.exchange

    @property
    def options(self) -> Mapping[str, Any]:
        return {
            "app": "tasks",
            "concurrency": 1,
            "arguments": "--without-mingle --without-gossip --without-heartbeat",
        }

    def enqueue(
        self,
        count: int,
        *,
        queue: str = "default",
        seconds: float = 0.0,
        first: int = 1,
        fail_every: int = 0,
        gate: str = "",
        delay: float = 0.0,
    ) -> set[str]:
        """Pushes `count` jobs that work for `seconds`, and until the file `gate` is there; returns their ids.

        Each whose number is a multiple of `fail_every` fails.  With `delay` they are due so many seconds later.
        """
        jobs = numbered(queue, first, count)
        with self._sending() as send:
            for number, job in jobs.items():
                arguments = (job, seconds, fails(number, fail_every), gate)
                send("tasks.transcode", arguments, task_id=job, countdown=delay or None, **self._where(queue))
        return set(jobs.values())

    def send(self, task: str, queue: str, *arguments: Any) -> None:
        """Pushes one job."""
        with self._sending() as send:
            send(f"tasks.{task}", arguments, task_id=str(arguments[0]), **self._where(queue))

    def revoke(self, job: str, signal: str) -> None:
        """Has the process that works on a job signalled."""
        with Celery("tests", broker=self.broker, set_as_current=False) as app:
            app.control.revoke(job, terminate=True, signal=signal)

    @contextmanager
    def _sending(self) -> Iterator[Callable[..., object]]:
        """A `send_task` over one connection."""
        if self.tells:
            tell.connect()  # publishers tell when
        with Celery("tests", broker=self.broker, set_as_current=False) as app, app.connection_for_write() as connection:
            yield partial(app.send_task, connection=connection)
        # The signal is the process's own: an application that does not tell may publish next.
        before_task_publish.disconnect(dispatch_uid="fleetd.before_task_publish")

    def _where(self, queue: str) -> Mapping[str, str]:
        if self.exchange:
            return {"exchange": self.exchange, "routing_key": f"{queue}.transcode"}
        return {"queue": queue}
