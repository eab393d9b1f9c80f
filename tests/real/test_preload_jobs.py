"""Stock workers, preloaded: RQ's jobs for real, with exact counts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psutil
import pytest

from tests.support.fleetd_cli import Document, Fleetd
from tests.support.rq_app import RqApp
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.timeout(300)]


def preloaded(rq: RqApp, **keys: Any) -> Document:
    directory = str(rq.releases.current)
    pool = {"framework": "rq", "directory": directory, "queues": ["default"], "env": dict(rq.environment)}
    return {**pool, "preload": ["rq.cli", "tasks"], **keys}


def test_every_rq_job_is_done_once_and_counted_once(fleetd: Fleetd, rq: RqApp) -> None:
    """The old workers are told to end while each has a job in hand.

    RQ itself loses a job that it fetches in the moment of the signal: it stays in the queue's intermediate list
    (https://github.com/rq/rq/issues/2236).
    """
    fleetd.configure({"media": preloaded(rq, numprocs=3, **{"max-jobs": 10, "job-timeout": "1h"})})
    fleetd.start()
    gate = rq.jobs.path.with_name("gate")
    jobs = rq.enqueue(97, fail_every=20)
    held = rq.enqueue(3, fail_every=20, first=98, gate=str(gate))
    jobs |= held | rq.enqueue(100, fail_every=20, first=101)
    wait_for(lambda: rq.jobs.in_hand().keys() == held and rq.jobs.ended().total() == 97, "the held ones", within=120)
    restart = fleetd.popen("restart", "--graceful")
    wait_for(lambda: told_to_end(fleetd) == 3, "all three to be told to end", within=120, every=0.2)
    assert not rq.jobs.ended().keys() & held
    gate.touch()
    said, _ = restart.communicate(timeout=120)
    assert restart.returncode == 0, said
    wait_for(lambda: rq.jobs.ended().total() >= len(jobs), "200 jobs to end", within=120, every=0.2)

    def counted() -> bool:
        found = fleetd.pool("media")["jobs"]
        return bool((found["done"], found["failed"]) == (190, 10))

    wait_for(counted, "190 done and 10 failed", every=0.2)
    assert rq.jobs.count("started") == dict.fromkeys(jobs, 1)
    assert rq.jobs.ended() == dict.fromkeys(jobs, 1)
    done = [event["fields"] for event in fleetd.exits(17) if event["fields"]["reason"] == "max-jobs"]
    assert {fields["code"] for fields in done} == {0}  # one that is told to end as it starts ends otherwise
    ready = fleetd.events("template.ready")
    assert len(ready) == 2, "one before the restart and one after it, for all the workers that there were"
    keeper = psutil.Process(ready[-1]["fields"]["pid"]).ppid()
    wait_for(lambda: are_stock_workers(fleetd, keeper), "three workers of RQ's own, after the last recycling")


def are_stock_workers(fleetd: Fleetd, keeper: int) -> bool:
    """Whether all three are the keeper's children with RQ's own command line; one may just have done its tenth job."""
    with suppress(psutil.NoSuchProcess):
        workers = [psutil.Process(pid) for pid in fleetd.pids("media").values()]
        said = [" ".join(worker.cmdline()) for worker in workers if worker.ppid() == keeper]
        return len(said) == 3 and all("rq worker" in line for line in said)
    return False


def told_to_end(fleetd: Fleetd) -> int:
    """How many workers have said that they got the signal."""
    return fleetd.run("logs", "-n", "100000").stdout.lower().count("warm shut down requested")


def test_a_release_that_cannot_be_imported_leaves_the_old_workers_at_work(fleetd: Fleetd, rq: RqApp) -> None:
    fleetd.configure({"media": preloaded(rq, numprocs=2)})
    fleetd.start()
    before = fleetd.pids("media")
    (rq.releases.deploy("2") / "tasks.py").write_text("import no_such_module\n")
    rq.releases.switch("2")
    refused = fleetd.run("restart", "--graceful", code=1)
    assert "preload tasks: ModuleNotFoundError: No module named 'no_such_module'" in refused.stdout + refused.stderr
    assert fleetd.pids("media") == before
    jobs = rq.enqueue(20)
    wait_for(lambda: rq.jobs.ended().total() >= len(jobs), "20 jobs to end", within=60)
    assert {line.release for line in rq.jobs.lines()} == {"1"}
