"""Celery and Dramatiq on RabbitMQ, huey on SQLite: real workers, exact counts, no job lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.celery_app import CeleryApp
from tests.support.dramatiq_app import DramatiqApp
from tests.support.fleetd_cli import Fleetd
from tests.support.huey_app import HueyApp
from tests.support.job_log import SeenJobs
from tests.support.rabbitmq_server import RabbitMQ
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

App = CeleryApp | DramatiqApp | HueyApp


def assert_counted_through_a_restart(fleetd: Fleetd, app: App, *, jobs: int, fail_every: int) -> None:
    """Half of the jobs before a graceful restart and half after it, each done or failed once, and counted once.

    A framework that `repeats` may do one that it begins in the instant of the signal twice: both count.
    """
    fleetd.configure({"media": app.pool(queues=["media"])})
    fleetd.start()
    before = fleetd.pids("media")
    pushed = app.enqueue(jobs // 2, queue="media", seconds=0.01, fail_every=fail_every)
    fleetd.run("restart", "--graceful", "media")
    assert not set(fleetd.pids("media").values()) & set(before.values())
    pushed |= app.enqueue(jobs - jobs // 2, queue="media", first=jobs // 2 + 1, fail_every=fail_every)
    wait_for(lambda: len(app.jobs.ended()) >= jobs, f"{jobs} jobs to end", within=90)

    def counted(seen: SeenJobs) -> bool:
        found = fleetd.pool("media")["jobs"]
        done, failed = (seen.count(what).total() for what in ("done", "failed"))
        return not seen.in_hand() and (found["done"], found["failed"]) == (done, failed)

    last = app.jobs.at_rest(counted, "as many done and failed as were", within=60)
    assert last.ended().keys() == pushed
    assert len(last.count("failed")) == jobs // fail_every
    times = last.ended().total()
    assert times <= jobs + (1 if getattr(app, "repeats", False) else 0), "what the one that is drained began just then"
    assert not last.interrupted()
    exits = [(event["fields"]["code"], event["fields"]["reason"]) for event in fleetd.exits(1)]
    assert exits == [(0, "restart")]
    fleetd.run("stop")
    assert app.jobs.ended().total() == times


def test_celery_on_a_queue_that_a_topic_exchange_feeds(fleetd: Fleetd, tmp_path: Path, rabbitmq: RabbitMQ) -> None:
    app = CeleryApp(tmp_path, rabbitmq.vhost(), exchange="jobs")

    assert_counted_through_a_restart(fleetd, app, jobs=40, fail_every=10)

    queues = rabbitmq.call("GET", f"/api/bindings/{app.broker.rpartition('/')[2]}")
    assert ("jobs", "media", "media.#") in {
        (each["source"], each["destination"], each["routing_key"]) for each in queues
    }


@pytest.mark.full
def test_celery_tells_of_the_queue_that_a_topic_exchange_feeds(
    fleetd: Fleetd, tmp_path: Path, rabbitmq: RabbitMQ
) -> None:
    app = CeleryApp(tmp_path, rabbitmq.vhost(), exchange="jobs", tells=True)
    fleetd.configure({"media": app.pool(queues=["media"])})
    fleetd.start()  # before that no queue is bound
    app.enqueue(1, queue="media", gate=str(tmp_path / "gate"))
    app.send("exits", "media", "lost")

    job = wait_for(lambda: fleetd.pool("media")["workers"][0]["job"], "the job in hand", every=0.2)

    assert (job["id"], job["name"], job["queue"]) == ("media-1", "tasks.transcode", "media")
    (tmp_path / "gate").touch()

    # The second one's process is gone: its parent tells.
    def ended() -> tuple[int, int, bool]:
        pool = fleetd.pool("media")
        return pool["jobs"]["done"], pool["jobs"]["failed"], pool["workers"][0]["job"] is None

    wait_for(lambda: ended() == (1, 1, True), "that one, and the job whose process died", every=0.2)


@pytest.mark.full
def test_dramatiq_on_rabbitmq(fleetd: Fleetd, tmp_path: Path, rabbitmq: RabbitMQ) -> None:
    assert_counted_through_a_restart(fleetd, DramatiqApp(tmp_path, rabbitmq.vhost()), jobs=40, fail_every=10)


@pytest.mark.redis
@pytest.mark.full
def test_celery_on_redis(fleetd: Fleetd, tmp_path: Path, redis_server: RedisServer) -> None:
    assert_counted_through_a_restart(fleetd, CeleryApp(tmp_path, redis_server.url), jobs=40, fail_every=10)


@pytest.mark.redis
@pytest.mark.full
def test_a_celery_job_that_is_revoked_by_a_kill_is_not_in_hand_any_more(
    fleetd: Fleetd, tmp_path: Path, redis_server: RedisServer
) -> None:
    app = CeleryApp(tmp_path, redis_server.url, tells=True)
    fleetd.configure({"media": app.pool(queues=["media"])})
    fleetd.start()
    pids = fleetd.pids("media")
    app.enqueue(1, queue="media", gate=str(tmp_path / "gate"))
    wait_for(lambda: fleetd.pool("media")["workers"][0]["job"], "the job in hand", every=0.2)

    app.revoke("media-1", "SIGKILL")

    wait_for(lambda: fleetd.pool("media")["workers"][0]["job"] is None, "it to be given back", every=0.2)
    [told] = [event["fields"] for event in fleetd.events("job.interrupted")]
    assert (told["id"], told["name"], told["queue"]) == ("media-1", "tasks.transcode", "media")
    app.enqueue(1, queue="media", first=2)
    wait_for(lambda: fleetd.pool("media")["jobs"]["done"] == 1, "the worker to go on", every=0.2)
    assert (fleetd.pool("media")["jobs"]["failed"], fleetd.pids("media")) == (0, pids)


def test_huey_on_sqlite(fleetd: Fleetd, tmp_path: Path) -> None:
    app = HueyApp(tmp_path, f"sqlite://{tmp_path / 'huey.db'}")

    assert_counted_through_a_restart(fleetd, app, jobs=40, fail_every=10)
