"""A release that does not work: the roll is halted, the requester sees why, and the old release goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetd_cli import Document, Fleetd
from tests.support.job_log import JobLog
from tests.support.laravel import LaravelApp
from tests.support.rq_app import RqApp
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.timeout(240)]

LAST_WORDS = "the new release cannot read its settings"

AT_ONCE = f"import os, sys; print({LAST_WORDS!r}, file=sys.stderr, flush=True); os._exit(1)"
BEFORE_READY = f"import time; time.sleep(3); {AT_ONCE}"


def rq_pool(rq: RqApp, queue: str, **keys: Any) -> Document:
    # Python runs sitecustomize of the release that the worker starts in before anything else.
    environment = {**rq.environment, "PYTHONPATH": "."}
    directory = str(rq.releases.current)
    return {"framework": "rq", "directory": directory, "queues": [queue], "env": environment, **keys}


@pytest.mark.parametrize("code", [AT_ONCE, BEFORE_READY], ids=["exits at once", "dies before it is ready"])
def test_rq_release_that_never_gets_ready(fleetd: Fleetd, rq: RqApp, code: str) -> None:
    once = rq_pool(rq, "once", numprocs=2, **{"max-jobs": 1})
    fleetd.configure({"steady": rq_pool(rq, "steady", numprocs=3), "once": once})
    fleetd.start()
    steady = fleetd.pids("steady")
    (rq.releases.deploy("2") / "sitecustomize.py").write_text(code)
    rq.releases.switch("2")

    restart = fleetd.popen("restart", "--graceful")
    # Before the request is there, the switched link is all that a worker goes by.
    wait_for(lambda: fleetd.events("rollout.started"), "the rollout to begin")
    jobs = rq.enqueue(6, queue="once", seconds=0.1)
    said, _ = restart.communicate(timeout=120)
    assert restart.returncode == 1, said
    assert LAST_WORDS in said
    assert fleetd.pids("steady") == steady

    jobs |= rq.enqueue(6, queue="once", seconds=0.1, first=7)
    expect_all_by_the_old_release(rq.jobs, jobs)
    wait_for(lambda: len(fleetd.pids("once")) == 2, "both slots to be filled again")
    expect_release(fleetd, "once", "1")
    assert fleetd.pids("steady") == steady

    rq.releases.deploy("3")
    rq.releases.switch("3")
    fleetd.run("restart", "--graceful")
    assert releases_of(fleetd, "once") == releases_of(fleetd, "steady") == {"3"}


@pytest.mark.laravel
def test_laravel_release_that_exits_at_once(fleetd: Fleetd, laravel: LaravelApp) -> None:
    # By age, which a PHP process must not reach that a busy machine holds up before it can say why it exits.
    late = {"healthy-after": "5s"}
    steady = laravel_pool(laravel, "steady", numprocs=2, **late)
    once = laravel_pool(laravel, "once", numprocs=2, **late, **{"max-jobs": 1})
    fleetd.configure({"steady": steady, "once": once})
    fleetd.start()
    pids = fleetd.pids("steady")
    break_laravel(laravel.deploy("2"), "")
    laravel.releases.switch("2")

    restart = fleetd.run("restart", "--graceful", code=1)
    assert LAST_WORDS in restart.stdout + restart.stderr
    assert fleetd.pids("steady") == pids

    expect_all_by_the_old_release(laravel.jobs, laravel.dispatch("once", 12))
    expect_release(fleetd, "once", "1")
    assert fleetd.pids("steady") == pids


@pytest.mark.laravel
def test_laravel_release_that_dies_after_it_counted_as_healthy(fleetd: Fleetd, laravel: LaravelApp) -> None:
    """Laravel's workers are healthy by age, after a second: these die three seconds later, still starting up."""
    fleetd.configure({"once": laravel_pool(laravel, "once", numprocs=8, **{"max-jobs": 1})})
    fleetd.start()
    pids = fleetd.pids("once")
    break_laravel(laravel.deploy("2"), "sleep(4);")
    laravel.releases.switch("2")

    restart = fleetd.run("restart", "--graceful", code=1, timeout=120)
    assert LAST_WORDS in restart.stdout + restart.stderr
    kept = {name: pid for name, pid in fleetd.pids("once").items() if pids[name] == pid}
    assert kept, "slots that were not yet rolled keep their workers"
    rolled = pids.keys() - kept.keys()
    assert rolled, "the new release counted as healthy, so some slot was rolled"

    expect_all_by_the_old_release(laravel.jobs, laravel.dispatch("once", 4 * len(kept)))

    def of_the_old_release() -> set[str]:
        workers = fleetd.pool("once")["workers"]
        return {worker["name"] for worker in workers if (worker["directory"] or "").endswith("/releases/1")}

    # A slot between two workers has no directory for a moment.
    wait_for(lambda: of_the_old_release() >= kept.keys(), "slots to be refilled from the release they had")


def laravel_pool(laravel: LaravelApp, queue: str, **keys: Any) -> Document:
    directory = str(laravel.releases.current)
    environment = dict(laravel.environment)
    return {
        "framework": "laravel",
        "directory": directory,
        "queues": [queue],
        "env": environment,
        "options": {"sleep": "1"},
        **keys,
    }


def break_laravel(release: Path, first: str) -> None:
    """Makes every artisan command of a release fail: `first` runs, then it says why and exits 1."""
    failing = f"<?php {first} fwrite(STDERR, {LAST_WORDS!r}.PHP_EOL); exit(1);\n"
    (release / "bootstrap" / "app.php").write_text(failing)


def expect_all_by_the_old_release(log: JobLog, jobs: set[str]) -> None:
    """Each job is done once, by a worker of release 1."""
    wait_for(lambda: log.count("done").keys() >= jobs, f"{len(jobs)} jobs to be done", within=60, every=0.1)
    assert log.count("done") == dict.fromkeys(jobs, 1)
    assert {line.release for line in log.lines()} == {"1"}


def expect_release(fleetd: Fleetd, pool: str, release: str) -> None:
    """The workers run from this release and from no other; none is there while all slots are being refilled."""

    def is_there() -> bool:
        found = releases_of(fleetd, pool)
        assert found <= {release}
        return found == {release}

    wait_for(is_there, f"workers of release {release}")


def releases_of(fleetd: Fleetd, pool: str) -> set[str]:
    """The names of the releases that the workers of a pool run from."""
    return {Path(worker["directory"]).name for worker in fleetd.pool(pool)["workers"] if worker["directory"]}
