"""The tests' Celery application, on the broker in CELERY_BROKER_URL; each job leaves lines in the job log.

With JOBS_EXCHANGE its queues are fed by that topic exchange, each by all keys that begin with its name.  With
TELL_FLEETD its jobs are told by fleetd.worker.
"""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery, Task
from job_line import work
from kombu import Exchange, Queue

app = Celery("tasks", broker=os.environ["CELERY_BROKER_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"polling_interval": 0.2},
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)

if "JOBS_EXCHANGE" in os.environ:
    exchange = Exchange(os.environ["JOBS_EXCHANGE"], type="topic")
    app.conf.task_queues = [
        Queue(name, exchange, routing_key=f"{name}.#") for name in os.environ["FLEETD_QUEUES"].split(",")
    ]

if "TELL_FLEETD" in os.environ:
    from fleetd.worker import celery

    celery.connect()


@app.task
def transcode(job: str, seconds: float = 0.0, fail: bool = False, gate: str = "") -> str:
    """The parent of a prefork child is the worker."""
    return work(job, os.getppid(), Path(__file__).resolve().parent.name, seconds, fail, gate)


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def twice(self: Task, job: str) -> str:
    """Fails once, then is done."""
    if not self.request.retries:
        raise self.retry()
    return transcode(job)


@app.task
def exits(job: str) -> None:
    """Takes its process with it."""
    os._exit(7)
