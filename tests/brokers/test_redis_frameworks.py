"""Queues as real frameworks make them, found by the framework files, with known numbers."""

from __future__ import annotations

import asyncio
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from rq import Queue

from fleetd.brokers.opening import open_broker
from fleetd.core.queues import Depth
from fleetd.core.spec import BrokerSpec
from fleetd.frameworks.framework import builtin
from tests.support.celery_app import CeleryApp
from tests.support.laravel import LaravelApp
from tests.support.redis_server import RedisServer
from tests.support.rq_app import SCRIPTS, RqApp
from tests.support.waiting import wait_for

pytestmark = pytest.mark.redis


def depth(framework: str, queue: str, server: RedisServer) -> Depth:
    """What fleetd tells of a framework's queue."""
    described = builtin(framework)
    assert described is not None
    place = described.place("redis", queue, None)
    assert place is not None

    async def steps() -> Depth:
        broker = open_broker(BrokerSpec("default", server.url))
        try:
            return (await broker.read([place]))[place]
        finally:
            await broker.close()

    return asyncio.run(steps())


@pytest.mark.parametrize("tells", [True, False])
def test_celery(redis_server: RedisServer, tmp_path: Path, *, tells: bool) -> None:
    """The publisher writes the time into the message where it says `connect()`."""
    app = CeleryApp(tmp_path / "app", redis_server.url, tells=tells)
    began = time.time()
    app.enqueue(2, queue="media")
    first = time.time()
    app.enqueue(1, queue="media", first=3)
    found = depth("celery", "media", redis_server)
    assert found.ready == 3
    if tells:
        assert found.oldest_at is not None
        assert began <= found.oldest_at <= first
    else:
        assert found.oldest_at is None


def test_rq(rq: RqApp, tmp_path: Path) -> None:
    began, gate = time.time(), tmp_path / "gate"
    assert depth("rq", "media", rq.server) == Depth(ready=0, delayed=0, due=0, reserved=0)
    rq.enqueue(5, queue="media", gate=str(gate))
    rq.enqueue(3, queue="other")
    with redis.Redis.from_url(rq.server.url) as client:
        queue = Queue("media", connection=client)
        for _ in range(3):
            queue.enqueue_in(timedelta(hours=1), "tasks.transcode", "later")
        queue.enqueue_at(datetime.now(UTC) - timedelta(hours=1), "tasks.transcode", "due")
    found = depth("rq", "media", rq.server)
    assert (found.ready, found.delayed, found.due, found.reserved) == (5, 3, 1, 0)
    assert found.oldest_at is not None
    assert began - 1 <= found.oldest_at <= time.time() + 1
    assert depth("rq", "other", rq.server).ready == 3

    current = rq.releases.release("1")
    worker = subprocess.Popen(
        [SCRIPTS / "rq", "worker", "media", "--burst"],
        cwd=current,
        env=dict(rq.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: depth("rq", "media", rq.server).reserved == 1, "a job in a worker's hand")
        assert depth("rq", "media", rq.server).ready == 4
        gate.touch()
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait(10)
    left = depth("rq", "media", rq.server)
    assert (left.ready, left.reserved, left.oldest_at) == (0, 0, None)


@pytest.mark.laravel
def test_laravel(laravel: LaravelApp) -> None:
    assert depth("laravel", "media", laravel.server) == Depth(ready=0, delayed=0, due=0, reserved=0)
    work = ("queue:work", "redis", "--queue=media", "--once", "--tries=3")
    laravel.dispatch("media", 1, fail_every=1)
    laravel.artisan(*work, "--backoff=600")  # fails, and is put back for later
    laravel.artisan("dispatch", "--queue=media", "--exit=3")
    with pytest.raises(AssertionError):  # the job ends its worker, and stays in its hands
        laravel.artisan(*work)
    laravel.dispatch("media", 1, first=2, fail_every=2)
    laravel.artisan(*work, "--backoff=0")  # is put back for now, which a worker sees when it looks
    laravel.dispatch("media", 4, first=10)
    laravel.dispatch("other", 2)
    assert depth("laravel", "media", laravel.server) == Depth(ready=4, delayed=1, due=1, reserved=1)
    assert depth("laravel", "other", laravel.server) == Depth(ready=2, delayed=0, due=0, reserved=0)
