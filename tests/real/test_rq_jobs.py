"""RQ's own `rq worker`: exact counts, and no job harmed by anything that fleetd does on purpose."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import psutil
import pytest

from tests.support.fleetd_cli import Document, Fleetd, kill, taking_jobs
from tests.support.rq_app import RqApp
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.timeout(300)]

# Stands for a job of an hour: what matters is that a roll does not wait for one after the other.
LONG_JOB = float(os.environ.get("FLEETD_TEST_LONG_JOB", "12"))  # seconds

# RQ's own worker loses a signal that comes while it writes a line: once in some thousand times, which is often enough.
HEARS = {"worker-class": "fleetd.worker.rq.Worker"}


def pool_of(rq: RqApp, **keys: Any) -> Document:
    directory = str(rq.releases.current)
    return {"framework": "rq", "directory": directory, "queues": ["default"], "env": dict(rq.environment), **keys}


@pytest.mark.parametrize("count", [120, pytest.param(500, marks=pytest.mark.full)])
def test_jobs_of_which_one_in_twenty_fails(fleetd: Fleetd, rq: RqApp, count: int) -> None:
    fleetd.configure({"media": pool_of(rq, numprocs=2, **{"max-jobs": 10, "job-timeout": "1h"})})
    fleetd.start()
    jobs, failing = rq.enqueue(count, fail_every=20), count // 20
    wait_for(lambda: rq.jobs.ended().total() >= count, f"{count} jobs to end", within=240, every=0.2)

    def counted() -> bool:
        found = fleetd.pool("media")["jobs"]
        return bool((found["done"], found["failed"]) == (count - failing, failing))

    wait_for(counted, f"all but {failing} done", every=0.2)
    assert rq.jobs.count("started") == dict.fromkeys(jobs, 1)
    assert rq.jobs.ended() == dict.fromkeys(jobs, 1)
    assert rq.jobs.count("failed").total() == failing
    exits = fleetd.exits(count // 10 - 1)  # the last 10 jobs may be shared by two workers that go on
    assert {event["fields"]["reason"] for event in exits} == {"max-jobs"}


@pytest.mark.parametrize(("count", "seconds"), [(150, 0.5), pytest.param(300, 0.25, marks=pytest.mark.full)])
def test_jobs_through_restart_scale_reload_and_kills(fleetd: Fleetd, rq: RqApp, count: int, seconds: float) -> None:
    media = pool_of(rq, numprocs=3, options=HEARS, **{"job-timeout": "1m"})
    quiet = pool_of(rq, numprocs=2, queues=["quiet"])
    fleetd.configure({"media": media, "quiet": quiet})
    fleetd.start()
    undisturbed = fleetd.pids("quiet")
    before = fleetd.pids("media")
    jobs = rq.enqueue(count, seconds=seconds)
    wait_for(lambda: len(rq.jobs.in_hand()) >= 3, "three jobs in hand")

    with sampled(fleetd, "media") as samples:
        fleetd.run("restart", "--graceful", "media")
    assert samples, "the roll was not seen"
    assert min(len(taking_jobs(pool)) for pool in samples) >= 3
    assert not set(fleetd.pids("media").values()) & set(before.values())

    fleetd.run("scale", "media=5")
    assert len(fleetd.pids("media")) == 5
    fleetd.run("scale", "media=2")
    assert len(fleetd.pids("media")) == 2

    before = fleetd.pids("media")
    fleetd.configure({"media": {**media, "env": {**media["env"], "RELEASE_NOTE": "2"}}, "quiet": quiet})
    fleetd.run("reload")
    assert not set(fleetd.pids("media").values()) & set(before.values())
    assert fleetd.pids("quiet") == undisturbed
    workers = main_pids(fleetd)
    flowing = rq.jobs.now()
    workers |= main_pids(fleetd)  # who comes or goes meanwhile is among those before it or after it
    assert flowing.interrupted() == Counter(flowing.in_hand().values()), "a job was interrupted, and begun once more"
    assert set(flowing.interrupted().items()) <= {(pid, 1) for pid in workers}, "a job was interrupted, none was killed"

    keeper = psutil.Process(next(iter(undisturbed.values()))).ppid()
    forgotten = fetched_and_forgotten(rq)
    killed = set(kill_at_random(fleetd, rq, times=6))
    last = rq.jobs.at_rest(lambda _: rq.waiting() == 0 and fleetd_is_idle(fleetd), "all jobs to end", within=120)

    interrupted = last.interrupted()
    # A job that begins in the moment after the kill knows its worker by the new parent of its process: the keeper.
    assert interrupted.keys() <= {*killed, keeper}
    assert max((interrupted[pid] for pid in killed), default=0) <= 1
    started = last.count("started")
    unstarted = jobs - started.keys()  # fetched by a worker that was killed before it could begin
    assert len(unstarted - forgotten) + interrupted.total() <= 6
    assert started == dict.fromkeys(jobs - unstarted, 1)
    assert last.ended().keys() | set(last.in_hand()) == jobs - unstarted
    assert max(last.ended().values()) == 1
    assert fleetd.pids("quiet") == undisturbed


def test_a_worker_on_which_its_signal_was_lost_is_told_again(fleetd: Fleetd, rq: RqApp) -> None:
    old = lose_the_signal(fleetd, rq, pool_of(rq, **{"job-timeout": "1h"}), waiting=0)
    (told,) = fleetd.events("worker.drain-repeated")
    assert told["fields"] == {"reason": "restart", "pid": old}
    assert rq.jobs.count("done") == rq.jobs.count("started") == {"slow-1": 1}


def test_fleetd_s_worker_class_hears_what_comes_while_it_writes(fleetd: Fleetd, rq: RqApp) -> None:
    media = pool_of(rq, **{"job-timeout": "1h"})
    old = lose_the_signal(fleetd, rq, {**media, "options": HEARS}, waiting=4)
    rq.jobs.at_rest(lambda _: rq.waiting() == 0 and fleetd_is_idle(fleetd), "all jobs to end", within=60)
    assert [line.id for line in rq.jobs.lines() if line.what == "started" and line.worker == old] == ["slow-1"]
    assert rq.jobs.count("done").total() == rq.jobs.count("started").total() == 5


def lose_the_signal(fleetd: Fleetd, rq: RqApp, pool: Document, *, waiting: int) -> int:
    """A restart whose signal comes while the old worker writes a line, `waiting` jobs behind it; its pid."""
    gate = rq.releases.root / "gate"
    options = {**pool.get("options", {}), "config": "waits_in_a_line"}
    env = {**pool["env"], "GATE": str(gate), "PYTHONPATH": str(rq.releases.current)}
    fleetd.configure({"media": {**pool, "options": options, "env": env}})
    fleetd.start()
    old = fleetd.pids("media")["media:0"]
    rq.enqueue(1, name="slow")
    rq.enqueue(waiting, seconds=1.0)
    wait_for(lambda: "(slow-1)" in fleetd.run("logs", "media:0").stdout, "the line of a start")

    restart = fleetd.popen("restart", "--graceful", "media")
    wait_for(lambda: "warm shut down requested" in fleetd.run("logs", "media:0").stdout, "the signal")
    gate.touch()
    assert restart.wait(60) == 0
    return old


def test_eight_long_jobs_do_not_make_a_roll_eight_jobs_long(fleetd: Fleetd, rq: RqApp) -> None:
    fleetd.configure({"media": pool_of(rq, numprocs=8, **{"job-timeout": "1h"})})
    fleetd.start()
    jobs = rq.enqueue(8, seconds=LONG_JOB)
    wait_for(lambda: len(rq.jobs.in_hand()) == 8, "all eight jobs in hand")

    with sampled(fleetd, "media") as samples:
        fleetd.run("restart", "--graceful", "media", timeout=8 * LONG_JOB)
    last_end = max(line.at for line in rq.jobs.lines() if line.what == "done")
    first_start = min(line.at for line in rq.jobs.lines() if line.what == "started")
    assert last_end - first_start < 2 * LONG_JOB
    assert rq.jobs.count("done") == dict.fromkeys(jobs, 1)
    assert min(len(taking_jobs(pool)) for pool in samples) >= 8
    assert max(sum(worker["pid"] is not None for worker in pool["workers"]) for pool in samples) <= 16


class sampled:  # noqa: N801 - reads as what it is: with sampled(...)
    """The `status --json` of one pool, taken over and over while the block runs."""

    def __init__(self, fleetd: Fleetd, pool: str) -> None:
        self.fleetd = fleetd
        self.pool = pool
        self.over = Event()
        self.taken: list[Document] = []
        self.threads = ThreadPoolExecutor(max_workers=1)
        self.work: Future[None] | None = None

    def __enter__(self) -> list[Document]:
        self.work = self.threads.submit(self._sample)
        return self.taken

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.threads.shutdown()
        assert self.work is not None
        self.work.result()

    def _sample(self) -> None:
        while not self.over.wait(0.01):  # the workers need the machine, too
            self.taken.append(self.fleetd.pool(self.pool))


def kill_at_random(fleetd: Fleetd, rq: RqApp, *, times: int) -> Iterator[int]:
    """SIGKILL to main processes of workers, each time after more jobs were done; the pids that it hit."""
    for _ in range(times):
        pid = random.choice(sorted(fleetd.pids("media").values()))
        if kill(pid):
            yield pid
        wait_for_more_jobs(rq, 3)
        wait_for(lambda: fleetd.pids("media"), "a worker that takes jobs", within=60)


def fetched_and_forgotten(rq: RqApp) -> set[str]:
    """Jobs that stay where RQ puts what it fetches: it forgets one if it is told to end in that very moment.

    See https://github.com/rq/rq/issues/2236.
    """
    fetched = rq.fetched()
    wait_for_more_jobs(rq, 4)
    return fetched & rq.fetched()


def wait_for_more_jobs(rq: RqApp, more: int) -> None:
    ended = rq.jobs.ended().total()
    wait_for(lambda: rq.jobs.ended().total() >= ended + more, f"{more} more jobs", within=60)


def main_pids(fleetd: Fleetd) -> set[int]:
    """The main processes of all workers that there are, draining ones too."""
    return {worker["pid"] for worker in fleetd.pool("media")["workers"] if worker["pid"] is not None}


def fleetd_is_idle(fleetd: Fleetd) -> bool:
    return not any(worker["busy"] for worker in fleetd.pool("media")["workers"])
