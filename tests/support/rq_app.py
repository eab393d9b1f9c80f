"""A real RQ application: the stock `rq worker` on a server of the tests' own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import redis
from rq import Queue

from tests.support.fleetd_cli import Document
from tests.support.job_log import JobLog
from tests.support.redis_server import RedisServer
from tests.support.releases import Releases

SOURCE = Path(__file__).parents[1] / "apps" / "rq"
SCRIPTS = Path(sys.executable).parent  # not resolved: the scripts stand beside the virtual environment's own link


@dataclass(frozen=True, slots=True)
class RqApp:
    """The application's releases under `releases`, its queues on `server`, what its jobs did in `jobs`."""

    releases: Releases
    server: RedisServer
    jobs: JobLog

    @property
    def name(self) -> str:
        """The framework's file."""
        return "rq"

    @property
    def version(self) -> str:
        """What is installed."""
        return metadata.version("rq")

    @property
    def broker(self) -> str:
        """Where the queues stand."""
        return self.server.url

    def pool(self, **keys: Any) -> Document:
        """A [pool.X] table; `keys` are added to what every worker needs."""
        directory = str(self.releases.current)
        return {"framework": self.name, "directory": directory, "env": dict(self.environment), **keys}

    @property
    def environment(self) -> Mapping[str, str]:
        """What `rq worker` and the jobs need to be told."""
        return {
            "PATH": f"{SCRIPTS}:/usr/local/bin:/usr/bin:/bin",
            "RQ_REDIS_URL": self.server.url,
            "JOB_LOG": str(self.jobs.path),
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
        name: str = "",
    ) -> set[str]:
        """Pushes `count` jobs that work for `seconds`, and until the file `gate` is there; returns their ids.

        They are called `name` with a number, or after their queue.

        Each whose number is a multiple of `fail_every` fails.  With `delay` they are due so many seconds later.
        """
        ids = [f"{name or queue}-{number}" for number in range(first, first + count)]
        with redis.Redis.from_url(self.server.url) as client:
            target = Queue(queue, connection=client)
            jobs = [
                Queue.prepare_data(
                    "tasks.transcode",
                    args=(job, seconds, fail_every > 0 and number % fail_every == 0, gate),
                    job_id=job,
                    timeout=7200,
                )
                for number, job in enumerate(ids, start=first)
            ]
            if delay:
                due = datetime.now(UTC) + timedelta(seconds=delay)
                for job in jobs:
                    target.enqueue_at(due, job.func, *job.args, job_id=job.job_id, job_timeout=job.timeout)
            else:
                target.enqueue_many(jobs)
        return set(ids)

    def waiting(self, queue: str = "default") -> int:
        """How many jobs stand in the queue and are in no worker's hands."""
        with redis.Redis.from_url(self.server.url) as client:
            return Queue(queue, connection=client).count

    def fetched(self, queue: str = "default") -> set[str]:
        """The jobs that a worker has taken from the queue and that have not begun."""
        with redis.Redis.from_url(self.server.url) as client:
            return set(Queue(queue, connection=client).intermediate_queue.get_job_ids())


def rq_app(root: Path, server: RedisServer) -> RqApp:
    """An application below `root` with one release, `1`, to which `current` points."""
    app = RqApp(Releases(root, SOURCE), server, JobLog(root / "jobs.log"))
    app.releases.deploy("1")
    app.releases.switch("1")
    return app
