"""The tests' huey application, its one queue in Redis (BROKER_URL) or in a file of SQLite's (HUEY_FILE).

With TELL_FLEETD its jobs are told by fleetd.worker.
"""

from __future__ import annotations

import os
from pathlib import Path

from huey import Huey, RedisHuey, SqliteHuey
from job_line import work

QUEUE = os.environ["FLEETD_QUEUES"]

if "HUEY_FILE" in os.environ:
    huey: Huey = SqliteHuey(QUEUE, filename=os.environ["HUEY_FILE"])
else:
    huey = RedisHuey(QUEUE, url=os.environ["BROKER_URL"])

if "TELL_FLEETD" in os.environ:
    from fleetd.worker import huey as fleetd_huey

    fleetd_huey.connect(huey)


@huey.task()
def transcode(job: str, seconds: float = 0.0, fail: bool = False, gate: str = "") -> str:
    """A thread of the worker."""
    return work(job, os.getpid(), Path(__file__).resolve().parent.name, seconds, fail, gate)
