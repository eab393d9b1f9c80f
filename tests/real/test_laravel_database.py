"""Laravel's `database` driver on SQLite: jobs counted, and its queue read by SQL."""

from __future__ import annotations

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.laravel import laravel_app
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.laravel, pytest.mark.full]


def test_jobs_in_a_table_are_counted_and_their_queue_is_read(fleetd: Fleetd, redis_server: RedisServer) -> None:
    root = fleetd.directory / "app"
    root.mkdir()
    # One worker: of several on SQLite some cannot delete the job that they did, which Laravel then does once more.
    app = laravel_app(root, redis_server, database=root / "queue.sqlite")
    gate = fleetd.directory / "gate"
    broker = {"default": {"url": app.broker, "every": 0.25}}
    fleetd.configure({"media": app.pool(queues=["media"])}, broker=broker)
    app.enqueue(1, queue="media", gate=str(gate))
    app.enqueue(19, queue="media", first=2, fail_every=5)
    app.enqueue(2, queue="media", first=101, delay=3600)
    fleetd.start()

    def depth() -> tuple[int | None, ...]:
        (queue,) = fleetd.pool("media")["queues"]
        return queue["ready"], queue["delayed"], queue["reserved"]

    wait_for(lambda: depth() == (19, 2, 1), "the depth of the queue", every=0.2)
    (queue,) = fleetd.pool("media")["queues"]
    assert 0 <= queue["oldest_age"] < 60
    assert queue["wait_source"] == "measured"

    gate.touch()
    wait_for(lambda: depth() == (0, 2, 0), "the queue to be empty", every=0.2)

    def counted() -> bool:
        jobs = fleetd.pool("media")["jobs"]
        return (jobs["done"], jobs["failed"]) == (16, 4)

    wait_for(counted, "16 done, 4 failed", every=0.2)  # Laravel deletes a job before it says how it ended
    assert app.jobs.ended().total() == 20
