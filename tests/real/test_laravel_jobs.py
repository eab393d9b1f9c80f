"""Laravel's own `artisan queue:work` under the pool of configs/media.toml: each job once, each exit explained."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.laravel import LaravelApp
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.laravel, pytest.mark.timeout(240)]

MEDIA = Path(__file__).parents[2] / "configs" / "media.toml"


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.full)])
def test_jobs_on_two_queues_one_job_a_worker(fleetd: Fleetd, laravel: LaravelApp, count: int) -> None:
    shipped = tomllib.loads(MEDIA.read_text())["pool"]["media"]
    here = {"directory": str(laravel.releases.current), "env": dict(laravel.environment)}
    fleetd.configure({"media": {**{key: value for key, value in shipped.items() if key != "user"}, **here}})
    fleetd.start()

    jobs = laravel.dispatch("transcoding", count // 2, ms=20) | laravel.dispatch("media", count // 2, ms=20)
    wait_for(lambda: laravel.jobs.ended().total() >= count, f"{count} jobs to end", within=180, every=0.2)
    wait_for(lambda: fleetd.pool("media")["jobs"]["done"] == count, f"{count} jobs to be counted", every=0.2)

    assert laravel.jobs.count("started") == dict.fromkeys(jobs, 1)
    assert laravel.jobs.count("done") == dict.fromkeys(jobs, 1)
    assert fleetd.pool("media")["jobs"]["failed"] == 0
    exits = fleetd.exits(len(jobs))
    assert {(event["fields"]["reason"], event["fields"]["code"]) for event in exits} == {("max-jobs", 0)}


def test_a_stop_lets_the_job_in_hand_finish(fleetd: Fleetd, laravel: LaravelApp) -> None:
    pool = {
        "framework": "laravel",
        "directory": str(laravel.releases.current),
        "queues": ["media"],
        "job-timeout": 60,
        "env": dict(laravel.environment),
    }
    fleetd.configure({"media": pool})
    fleetd.start()
    jobs = laravel.dispatch("media", 1, ms=3000)
    wait_for(laravel.jobs.in_hand, "the job to start")
    fleetd.run("stop")
    assert laravel.jobs.count("done") == dict.fromkeys(jobs, 1)
    assert not laravel.jobs.interrupted()
    fleetd.leaves_nothing()


def test_failed_jobs_are_counted_as_failed(fleetd: Fleetd, laravel: LaravelApp) -> None:
    pool = {
        "framework": "laravel",
        "directory": str(laravel.releases.current),
        "queues": ["media"],
        "options": {"tries": "1"},
        "env": dict(laravel.environment),
    }
    fleetd.configure({"media": pool})
    fleetd.start()
    laravel.dispatch("media", 40, fail_every=10)
    wait_for(lambda: laravel.jobs.ended().total() >= 40, "40 jobs to end", every=0.1)

    def counted() -> bool:
        jobs = fleetd.pool("media")["jobs"]
        return (jobs["done"], jobs["failed"]) == (36, 4)

    wait_for(counted, "36 done, 4 failed", every=0.2)
