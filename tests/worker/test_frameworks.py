"""`fleetd.worker` in the workers of Celery, Dramatiq, huey and RQ: each job told once, and what is known of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.celery_app import CeleryApp
from tests.support.dramatiq_app import DramatiqApp
from tests.support.fleetd_cli import Document, Fleetd
from tests.support.huey_app import HueyApp
from tests.support.job_log import JobLog
from tests.support.redis_server import RedisServer
from tests.support.rq_app import rq_app
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis]

JOBS, FAIL_EVERY = 20, 10


class App(Protocol):
    name: str
    jobs: JobLog

    def pool(self, **keys: Any) -> Document: ...

    def enqueue(self, count: int, *, queue: str, first: int = 1, fail_every: int = 0, gate: str = "") -> set[str]: ...


def apps(root: Path, server: RedisServer) -> list[App]:
    """One of each; their keys keep apart."""
    tell = [kind(root / kind.name, server.url, tells=True) for kind in (CeleryApp, DramatiqApp, HueyApp)]
    return [rq_app(root / "rq", server), *tell]


def test_every_framework_tells_of_its_jobs(fleetd: Fleetd, tmp_path: Path, redis_server: RedisServer) -> None:
    field = {app.name: app for app in apps(tmp_path, redis_server)}
    gate = tmp_path / "gate"
    pushed: dict[str, float] = {}
    for name, app in field.items():
        app.enqueue(JOBS, queue=name, fail_every=FAIL_EVERY)
        pushed[name] = time.time()
    pools = {name: app.pool(queues=[name]) for name, app in field.items()}
    pools["rq"]["options"] = {"worker-class": "fleetd.worker.rq.Worker"}
    pools["dramatiq"]["options"]["verbosity"] = ""
    fleetd.configure(pools)
    began = time.time()
    fleetd.start()
    failed = JOBS // FAIL_EVERY

    def counts() -> dict[str, tuple[int, int]]:
        return {pool["name"]: (pool["jobs"]["done"], pool["jobs"]["failed"]) for pool in fleetd.status()["pools"]}

    for name, app in field.items():
        wait_for(lambda app=app: app.jobs.ended().total() == JOBS, f"{JOBS} jobs of {name}", within=60)
        # A job in hand would be one of these, as long as fleetd has not been told of its end.
        wait_for(lambda name=name: counts()[name] == (JOBS - failed, failed), f"those of {name} to be counted")
        app.enqueue(1, queue=name, first=JOBS + 1, gate=str(gate))

    def in_hand() -> dict[str, Document]:
        found = {pool["name"]: pool["workers"][0]["job"] for pool in fleetd.status()["pools"]}
        return found if all(found.values()) else {}

    jobs = wait_for(in_hand, "each to have a job in hand", every=0.2)
    assert {name: job["queue"] for name, job in jobs.items()} == {name: name for name in field}
    assert {name: job["name"] for name, job in jobs.items()} == {
        "celery": "tasks.transcode",
        "dramatiq": "transcode-dramatiq",
        "huey": "transcode",
        "rq": "tasks.transcode",
    }
    assert {name: jobs[name]["id"] for name in ("celery", "huey", "rq")} == {
        name: f"{name}-{JOBS + 1}" for name in ("celery", "huey", "rq")
    }

    gate.touch()
    all_once = dict.fromkeys(field, (JOBS + 1 - failed, failed))
    wait_for(lambda: counts() == all_once, "every job to be counted once", every=0.2)
    waits = {pool["name"]: pool["jobs"]["wait_p95"] for pool in fleetd.status()["pools"]}
    assert waits.pop("huey") is None, "huey does not know"
    assert all(wait is not None and began - pushed[name] < wait < 600 for name, wait in waits.items()), waits
    assert all(worker["healthy"] for pool in fleetd.status()["pools"] for worker in pool["workers"])
