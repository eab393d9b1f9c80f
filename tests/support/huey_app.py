"""A real huey application: the stock `huey_consumer` on Redis or on a file of SQLite's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from huey import Huey, RedisHuey, SqliteHuey
from huey.api import Task

from tests.support.python_app import PythonApp, fails, numbered


@dataclass(frozen=True, slots=True)
class HueyApp(PythonApp):
    """`broker` is redis://… or sqlite:///FILE; huey has one queue for each application, which a pool names."""

    name: ClassVar[str] = "huey"

    def __post_init__(self) -> None:
        super(HueyApp, self).__post_init__()
        self.environment["BROKER_URL"] = self.broker
        if self.broker.startswith("sqlite"):
            self.environment["HUEY_FILE"] = str(self._file)

    @property
    def options(self) -> Mapping[str, Any]:
        return {"huey": "tasks.huey", "arguments": "--delay=0.05 --max-delay=0.2"}

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
        huey = self._huey(queue)
        # The name under which the application knows its task.
        kind = type("transcode", (Task,), {"__module__": "tasks"})
        huey._registry.register(kind)
        for number, job in jobs.items():
            task = kind((job, seconds, fails(number, fail_every), gate), id=job)
            if delay:
                task.eta = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=delay)
                huey.add_schedule(task)
            else:
                huey.enqueue(task)
        huey.storage.close()
        return set(jobs.values())

    def _huey(self, queue: str) -> Huey:
        if self.broker.startswith("sqlite"):
            return SqliteHuey(queue, filename=str(self._file))
        return RedisHuey(queue, url=self.broker)

    @property
    def _file(self) -> Path:
        return Path(self.broker.removeprefix("sqlite://"))
