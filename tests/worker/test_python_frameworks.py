"""What `fleetd.worker` makes of odd jobs of Celery and RQ."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from rq import Queue
from rq.job import Job, JobStatus

from fleetd.core.spec import LineMeaning
from fleetd.worker.rq import outcome
from tests.support.listening import Daemon
from tests.support.redis_server import RedisServer
from tests.support.told_program import ended, program
from tests.support.waiting import wait_for

EAGER = """
from celery import Celery
from fleetd.worker import celery
app = Celery("app", broker="memory://", set_as_current=False)
celery.connect()
@app.task
def part():
    return 1
assert part.apply().get() == 1
app.conf.task_always_eager = True
assert part.delay().get() == 1
worker.report("done", "after it", id="1")
"""


def test_a_celery_task_that_is_called_in_place_is_no_job(daemon: Daemon) -> None:
    with program(EAGER, daemon.path) as process:
        wait_for(ended(process, daemon), "the program to end")

        assert process.returncode == 0
    assert [daemon.jobs(meaning) for meaning in LineMeaning] == [[], [], ["after it"], [], [], []]


@pytest.fixture
def job(redis_server: RedisServer) -> Iterator[Job]:
    with redis.Redis.from_url(redis_server.url) as client:
        yield Queue("media", connection=client).enqueue("tasks.transcode")


@pytest.mark.redis
def test_an_rq_job_that_is_gone_was_done(job: Job) -> None:
    job.set_status(JobStatus.FAILED)
    assert outcome(job) == "failed"

    job.delete()

    assert outcome(job) == "done"


@pytest.mark.redis
def test_an_rq_job_of_which_redis_cannot_say_anything_was_not_done(job: Job, redis_server: RedisServer) -> None:
    job.set_status(JobStatus.FINISHED)
    assert outcome(job) == "done"

    redis_server.stop()

    assert outcome(job) == "released"
