"""Keeps both queues supplied: every module of Python's standard library, over and over."""

from __future__ import annotations

import itertools
import os
import signal
import sysconfig
from pathlib import Path
from threading import Event

import redis
from rq import Queue

WAITING_AT_MOST = 5  # jobs in each queue: the quickstart shall not heat the machine
PAUSE = 0.5  # seconds between two looks at the queues


def main() -> None:
    """Ends on SIGTERM, between two jobs."""
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    sources = sorted(str(path) for path in Path(sysconfig.get_path("stdlib")).glob("*.py"))
    with redis.Redis.from_url(os.environ["RQ_REDIS_URL"]) as client:
        queues = {name: Queue(name, connection=client) for name in ("hash", "compress")}
        work = {"hash": "tasks.digest", "compress": "tasks.compress"}
        rounds = {name: itertools.cycle(sources) for name in queues}
        while not stopping.wait(PAUSE):
            for name, queue in queues.items():
                for _ in range(WAITING_AT_MOST - queue.count):
                    queue.enqueue(work[name], next(rounds[name]), result_ttl=60)


if __name__ == "__main__":
    main()
