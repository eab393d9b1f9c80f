"""What the scenario of the field needs of a framework's test application."""

from __future__ import annotations

from typing import Any, Protocol

from tests.support.fleetd_cli import Document
from tests.support.job_log import JobLog


class App(Protocol):
    """A framework's own worker with a small application, on a real broker that is up.

    Its workers take one job at a time (and fetch no more ahead than they cannot help), look for jobs at least twice a
    second, and try a job once.  Jobs write to `jobs`; the pid in a line is that of the worker's main process.  Further
    keys of [broker.default], such as `prefix` and `management`, stand in an attribute `broker_keys`, if there are any.
    `repeats`, where it is there and true: a job that begins in the instant of a drain signal may be done twice.
    """

    name: str  # the framework's file: "rq"
    version: str  # of the framework, as installed
    broker: str  # the url of [broker.default]
    jobs: JobLog

    def pool(self, **keys: Any) -> Document:
        """A [pool.X] table with all that a worker needs (framework, directory, env, options); `keys` are added.

        `queues` is among the keys, and so may be any key of a pool: `pool(queues=["a"], **{"max-jobs": 5})`.
        """

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
        """Pushes `count` jobs, numbered from `first` on; returns their ids as the job log has them: QUEUE-NUMBER.

        Each works for `seconds`, and until the file `gate` is there (looked for every few hundredths of a second,
        whatever signals arrive).  Each whose number is a multiple of `fail_every` fails, for good.  With `delay` the
        broker is to hand them out so many seconds later.
        """
