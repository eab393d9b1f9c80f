"""The stock `sidekiq` under fleetd: each job counted once, by its lines, and by the middleware that is shipped."""

from __future__ import annotations

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.redis_server import RedisServer
from tests.support.sidekiq_app import SidekiqApp, sidekiq_app
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.sidekiq]


def count(fleetd: Fleetd, app: SidekiqApp, jobs: int) -> tuple[int, int]:
    """Jobs done and failed as fleetd counted them, once all have ended."""
    wait_for(lambda: app.jobs.ended().total() >= jobs, f"{jobs} jobs to end", within=60, every=0.1)

    def counted() -> tuple[int, int]:
        told = fleetd.pool("media")["jobs"]
        return told["done"], told["failed"]

    wait_for(lambda: sum(counted()) >= jobs, f"{jobs} jobs to be counted", every=0.2)
    return counted()


@pytest.mark.parametrize(
    "tells", [pytest.param(False, id="lines"), pytest.param(True, id="middleware", marks=pytest.mark.full)]
)
def test_jobs_are_counted_and_a_drain_loses_none(fleetd: Fleetd, redis_server: RedisServer, tells: bool) -> None:
    app = sidekiq_app(fleetd.directory / "app", redis_server, tells=tells)
    gate = fleetd.directory / "gate"
    fleetd.configure({"media": app.pool(queues=["high", "low"], **{"healthy-after": 0.2})})
    fleetd.start()
    jobs = app.enqueue(30, queue="high", fail_every=10) | app.enqueue(10, queue="low", fail_every=10)
    assert count(fleetd, app, 40) == (36, 4)

    waiting = app.enqueue(1, queue="low", first=100, gate=str(gate))
    wait_for(lambda: app.jobs.in_hand().keys() == waiting, "a job in hand")
    in_hand = wait_for(lambda: fleetd.pool("media")["workers"][0]["job"], "fleetd to know of it")
    stop = fleetd.popen("stop", "media")
    wait_for(lambda: fleetd.pool("media")["workers"][0]["state"] == "stopping", "the drain", every=0.1)
    gate.touch()
    assert stop.wait(timeout=30) == 0

    assert (in_hand["id"], in_hand["name"]) == ("low-100", "TranscodeJob")
    assert in_hand["queue"] == ("low" if tells else None)
    assert app.jobs.ended() == dict.fromkeys(jobs | waiting, 1)
    told = fleetd.pool("media")["jobs"]
    assert (told["done"], told["failed"]) == (37, 4)
