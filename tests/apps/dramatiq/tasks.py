"""The tests' Dramatiq application, on the broker in BROKER_URL; each job leaves lines in the job log.

With TELL_FLEETD its jobs are told by fleetd.worker.
"""

from __future__ import annotations

import os
from pathlib import Path

import dramatiq
from job_line import work

URL = os.environ["BROKER_URL"]

if URL.startswith("amqp"):
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    broker: dramatiq.Broker = RabbitmqBroker(url=URL)
else:
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)

if "TELL_FLEETD" in os.environ:
    from fleetd.worker import dramatiq as fleetd_dramatiq

    fleetd_dramatiq.connect(broker)


def transcode(job: str, seconds: float = 0.0, fail: bool = False, gate: str = "") -> None:
    """The parent of a worker process is the worker."""
    work(job, os.getppid(), Path(__file__).resolve().parent.name, seconds, fail, gate)


def twice(job: str) -> None:
    """Fails once, then is done."""
    done = Path(os.environ["JOB_LOG"])
    if done.exists() and f" {job} " in done.read_text():
        transcode(job)
    else:
        transcode(job, fail=True)


for queue in os.environ["FLEETD_QUEUES"].split(","):
    # An actor has one queue, so there is one of each for every queue.
    dramatiq.actor(transcode, actor_name=f"transcode-{queue}", queue_name=queue, max_retries=0)
    dramatiq.actor(twice, actor_name=f"twice-{queue}", queue_name=queue, max_retries=1, min_backoff=1, max_backoff=1)
