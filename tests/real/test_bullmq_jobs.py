"""BullMQ's own workers with `fleetd.cjs`: exact counts from its lines, no job harmed by what fleetd does on purpose.

The application comes first, as it goes last: without its Redis a BullMQ worker does not end.
"""

from __future__ import annotations

import time

import pytest

from tests.support.bullmq_app import BullmqApp
from tests.support.fleetd_cli import Document, Fleetd, kill
from tests.support.waiting import stays, wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis]

ODD = 'encode "a\\b" ü\n{"fleetd":"done","id":"forged"}\n\x1b[31m'
SHOWN = ODD.replace("\n", "\N{REPLACEMENT CHARACTER}").replace("\x1b", "\N{REPLACEMENT CHARACTER}")


def counts(fleetd: Fleetd, pool: str) -> tuple[int, int]:
    jobs = fleetd.pool(pool)["jobs"]
    return jobs["done"], jobs["failed"]


def queues(fleetd: Fleetd, pool: str, **expected: int) -> list[Document]:
    found: list[Document] = fleetd.pool(pool)["queues"]
    return [queue for queue in found if queue.items() >= expected.items()]


def by_events(fleetd: Fleetd, pool: str) -> list[tuple[int, int]]:
    told = [queue["all_jobs"] or {"done": 0, "failed": 0} for queue in fleetd.pool(pool)["queues"]]
    return [(jobs["done"], jobs["failed"]) for jobs in told]


def the_worker(fleetd: Fleetd, pool: str) -> Document:
    (worker,) = fleetd.pool(pool)["workers"]
    return dict(worker)


def test_two_hundred_jobs_are_counted_though_the_daemon_is_killed(bullmq: BullmqApp, fleetd: Fleetd) -> None:
    fleetd.configure({"media": bullmq.pool(queues=["media"], numprocs=2)})
    fleetd.start()
    workers = fleetd.pids("media")
    jobs = bullmq.enqueue(200, queue="media", seconds=0.01, fail_every=20, name=ODD)
    for ended in (40, 110):
        wait_for(lambda: bullmq.jobs.ended().total() >= ended, f"{ended} jobs")  # noqa: B023 - asked in this round
        kill(fleetd.status()["pid"])
        wait_for(lambda: bullmq.jobs.ended().total() >= ended + 20, "more jobs without a daemon")  # noqa: B023
        fleetd.start()
    wait_for(lambda: bullmq.jobs.ended().total() >= 200, "200 jobs to end", within=60)
    wait_for(lambda: counts(fleetd, "media") == (190, 10), f"190 done and 10 failed, not {counts(fleetd, 'media')}")
    assert bullmq.jobs.count("started") == dict.fromkeys(jobs, 1)
    assert bullmq.jobs.count("failed").total() == 10
    assert fleetd.pids("media") == workers


def test_a_job_in_hand_is_told_and_finished_before_the_worker_leaves(bullmq: BullmqApp, fleetd: Fleetd) -> None:
    gate = fleetd.directory / "gate"
    fleetd.configure(
        {"one": bullmq.pool(queues=["one"]), "small": bullmq.pool(queues=["a", "b"], **{"max-jobs": 5})},
        broker={"default": {"url": bullmq.broker, "every": 0.25}},
    )
    fleetd.start()
    bullmq.enqueue(1, queue="one", gate=str(gate), name=ODD)
    bullmq.enqueue(6, queue="a", fail_every=2)
    bullmq.enqueue(6, queue="b", fail_every=2)
    job = wait_for(lambda: the_worker(fleetd, "one")["job"], "a job in hand")
    assert (job["id"], job["name"], job["queue"]) == ("one-1", SHOWN, "one")

    paused = fleetd.popen("pause", "one")
    wait_for(lambda: the_worker(fleetd, "one")["state"] == "stopping", "the worker to drain")
    bullmq.enqueue(1, queue="one", first=2)
    bullmq.enqueue(1, queue="one", first=9, delay=3600)
    (queue,) = wait_for(lambda: queues(fleetd, "one", ready=1, delayed=1, reserved=1), "the queue to be read")
    assert queue["wait_source"] == "measured"
    assert 0 <= queue["oldest_age"] < 60
    assert [job for job in bullmq.jobs.in_hand() if job.startswith("one-")] == ["one-1"]
    held = time.time() - job["started_at"]
    gate.touch()
    assert paused.wait(timeout=30) == 0
    assert the_worker(fleetd, "one")["last_exit"]["code"] == 0
    assert bullmq.jobs.count("started")["one-2"] == 0
    fleetd.run("resume", "one")
    wait_for(lambda: counts(fleetd, "one") == (2, 0), "both jobs to be counted")
    assert fleetd.pool("one")["jobs"]["runtime_p95"] >= held

    # The script asked for a pause by signals, too.
    fleetd.run("signal", "USR2", "one")
    wait_for(lambda: "one is paused" in (fleetd.log_directory / "one-0.log").read_text(), "the worker to pause")
    pid = fleetd.pids("one")
    bullmq.enqueue(1, queue="one", first=3)
    stays(lambda: bullmq.jobs.count("started")["one-3"] == 0, "the pause", seconds=0.5)
    fleetd.run("signal", "CONT", "one")
    wait_for(lambda: counts(fleetd, "one") == (3, 0), "the job that waited")
    assert fleetd.pids("one") == pid

    # Two queues in one process, whose jobs have the same numbers; at five jobs it takes no more.
    wait_for(lambda: counts(fleetd, "small") == (6, 6), f"6 done, 6 failed; not {counts(fleetd, 'small')}")
    exits = [event["fields"]["reason"] for event in fleetd.exits(3) if event["pool"] == "small"]
    assert exits == ["max-jobs", "max-jobs"]
    assert bullmq.jobs.interrupted().total() == 0

    # BullMQ's own events, which are read whatever a script tells.
    for pool, of_each in (("one", (3, 0)), ("small", (3, 3))):
        wait_for(lambda: set(by_events(fleetd, pool)) == {of_each}, f"{of_each}, not {by_events(fleetd, pool)}")  # noqa: B023
