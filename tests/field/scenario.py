"""One run of fleetd with a framework's own workers, which yields what fleetd could tell and do.

Four pools work at the same time: `main` counts 200 jobs, `small` ends its workers by max-jobs, `slow` ends a job that
takes too long, and `one` has a single worker whose job in hand waits at a gate: it is looked at, drained and paused.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from tests.field.app import App
from tests.field.row import UNKNOWN, Key, Row
from tests.support.fleetd_cli import Document, Fleetd
from tests.support.process_world import alive
from tests.support.waiting import samples, wait_for

T = TypeVar("T")

JOBS = 200
FAIL_EVERY = 20
WORK = 0.01  # seconds a job of the 200 takes at least
READY, DELAYED = 3, 2  # jobs that wait while one is in hand
PER_WORKER = 5  # max-jobs of `small`
FAR = 3600.0  # seconds, of jobs that are not due before the scenario ends
LIMIT = 2  # seconds, job-timeout of `slow`
PATIENCE = 30.0  # seconds for what fleetd tells to become what it is known to tell
STEADY = 3.0  # seconds without a change, where nobody knows what it will tell


class Scenario:
    """The steps, in their order; `known` is the row that stands in the docs, if there is one."""

    def __init__(self, fleetd: Fleetd, app: App, key: Key, known: Row | None = None) -> None:
        self.fleetd = fleetd
        self.app = app
        self.key = key
        self.known = known
        self.gate = fleetd.directory / "gate"
        self.limit = fleetd.directory / "limit"
        self.pushed: set[str] = set()  # jobs that have to be started once, and to end
        self.repeats = getattr(app, "repeats", False)

    def run(self) -> Row:
        """Every fact, each asserted as it is found; the daemon has ended."""
        self._start()
        facts: dict[str, str] = {}
        facts["in_hand"] = self._job_in_hand()
        facts["depth"], facts["age"] = self._queue()
        facts["drain"] = self._drain()
        facts["max_jobs"] = self._max_jobs()
        facts["job_timeout"] = self._job_timeout()
        facts["pause"] = self._pause()
        facts["done"], facts["failed"], facts["runtime"] = self._counts()
        self._stop()
        framework, broker, told = self.key
        return Row(framework=framework, version=self.app.version, broker=broker, told=told, **facts)

    # -- the steps -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._push(JOBS, "main", seconds=WORK, fail_every=FAIL_EVERY)
        self._push(2 * PER_WORKER, "small")
        self._push(1, "one")  # that the pool's runtime is known
        pools = {
            "main": self.app.pool(queues=["main"], numprocs=2),
            "one": self.app.pool(queues=["one"]),
            "small": self.app.pool(queues=["small"], **{"max-jobs": PER_WORKER}),
            "slow": self.app.pool(queues=["slow"], **{"job-timeout": LIMIT}),
        }
        quick = {"healthy-after": 0.2, "backoff": {"first": 0.1}}
        broker = {"url": self.app.broker, "every": 0.25, **getattr(self.app, "broker_keys", {})}
        self.fleetd.configure({name: {**quick, **pool} for name, pool in pools.items()}, broker={"default": broker})
        self.fleetd.start()
        wait_for(lambda: self._ended("one") == 1, "the first job")
        self._push(1, "one", first=2, gate=self.gate)
        self.app.enqueue(1, queue="slow", gate=str(self.limit))
        wait_for(lambda: "one-2" in self.app.jobs.in_hand(), "a job in hand")

    def _job_in_hand(self) -> str:
        """Which facts fleetd tells of the job that waits at the gate."""
        since = self._lines("started")["one-2"]

        def told() -> str:
            worker = self._worker_of("one-2")
            job = worker["job"]
            if job is None:
                return UNKNOWN
            assert (worker["busy"], worker["jobs_in_hand"]) == (True, 1)
            assert job["queue"] in {None, "one"}
            assert abs(job["started_at"] - since) < 10
            return ", ".join([*(key for key in ("id", "name", "queue") if job[key]), "age"])

        return self._settled(told, "in_hand")

    def _queue(self) -> tuple[str, str]:
        """How many jobs stand in the queue of the worker at the gate (ready/delayed/reserved), and the oldest age."""
        self._push(READY, "one", first=3)
        since = time.time()
        self.app.enqueue(DELAYED, queue="one", first=101, delay=FAR)
        depth = self._settled(self._depth, "depth")
        (queue,) = self.fleetd.pool("one")["queues"]
        assert queue["name"] == "one"
        age = queue["oldest_age"]
        assert age is None or abs(age - (time.time() - since)) < 10
        if queue["ready"] is None:
            assert (age, queue["wait"], queue["wait_source"]) == (None, None, None)
        else:
            assert queue["wait_source"] == ("estimated" if age is None else "measured")
            assert queue["wait"] >= 0
        return depth, UNKNOWN if age is None else "yes"

    def _depth(self) -> str:
        (queue,) = self.fleetd.pool("one")["queues"]
        found = [queue[what] for what in ("ready", "delayed", "reserved")]
        return UNKNOWN if set(found) == {None} else "/".join(UNKNOWN if n is None else str(n) for n in found)

    def _drain(self) -> str:
        """A graceful restart at the gate: the job in hand comes to its end, what is ready is done by another worker."""
        old = self._worker_of("one-2")["pid"]
        restart = self.fleetd.popen("restart", "--graceful", "one")
        wait_for(lambda: self._worker_of("one-2")["state"] == "stopping", "the worker at the gate to drain", every=0.1)
        ready = {f"one-{3 + number}" for number in range(READY)}
        # Not all of them: a worker may have fetched one that it gives back only as it ends.
        wait_for(lambda: ready & self.app.jobs.ended().keys(), "a ready job to be done by another worker", within=60)
        assert self.app.jobs.in_hand()["one-2"] == old
        self.gate.touch()
        said, _ = restart.communicate(timeout=60)
        assert restart.returncode == 0, said
        assert self.app.jobs.ended()["one-2"] == 1
        assert old not in self.app.jobs.interrupted()
        wait_for(lambda: ready <= self.app.jobs.ended().keys(), "all ready jobs to be done")
        assert old not in {line.worker for line in self.app.jobs.lines() if line.id in ready}
        assert old not in self.fleetd.pids("one").values()
        return "no loss"

    def _max_jobs(self) -> str:
        """Ten jobs: by the framework's flag two workers did five each; where fleetd counts, one did five or more."""
        wait_for(lambda: self._ended("small") == 2 * PER_WORKER, "the jobs of the small pool")
        wait_for(lambda: self._exits("small"), "a worker of the small pool to be recycled", every=0.2)
        by_flag = not any(event["pool"] == "small" for event in self.fleetd.events("worker.recycled"))
        did = Counter(
            line.worker for line in self.app.jobs.lines() if line.id.startswith("small-") if line.what == "done"
        )
        if by_flag:
            wait_for(lambda: len(self._exits("small")) == 2, "both workers of the small pool to be recycled", every=0.2)
            assert sorted(did.values()) == [PER_WORKER, PER_WORKER]
        exits = self._exits("small")
        assert {event["fields"]["reason"] for event in exits} == {"max-jobs"}
        assert min(did[event["fields"]["pid"]] for event in exits) >= PER_WORKER
        return "own flag" if by_flag else "fleetd"

    def _job_timeout(self) -> str:
        """A job that would go on for ever: ended by the framework, or by fleetd (10 s later where there is a flag)."""

        def ended() -> str:
            if exits := self._exits("slow"):
                return "fleetd" if exits[0]["fields"]["reason"] == "job-timeout" else "own flag"
            return "own flag" if self.fleetd.pool("slow")["jobs"]["failed"] else ""

        found = wait_for(ended, "the endless job to be ended", every=0.2)
        assert "slow-1" not in self.app.jobs.count("done")
        self.limit.touch()  # a broker may hand the job out again
        self._push(1, "slow", first=2)
        wait_for(lambda: "slow-2" in self.app.jobs.count("done"), "the next job of that queue")
        return found

    def _pause(self) -> str:
        """Nothing is taken while other pools work; how: by a pair of signals, or without a worker."""
        before = self.fleetd.pids("one")
        self.fleetd.run("pause", "one")
        paused = self.fleetd.pool("one")
        assert paused["paused"]
        alive = {worker["name"]: worker["pid"] for worker in paused["workers"] if worker["pid"]}
        assert alive in ({}, before)
        self._push(2, "one", first=11)
        self._push(PER_WORKER - 1, "small", first=101)
        wait_for(lambda: self._ended("small") == 3 * PER_WORKER - 1, "another pool's jobs")
        assert not {"one-11", "one-12"} & self.app.jobs.count("started").keys()
        self.fleetd.run("resume", "one")
        wait_for(
            lambda: {"one-11", "one-12"} <= self.app.jobs.ended().keys(), "the jobs that waited for the pause to end"
        )
        return "signals" if alive else "drained, held"

    def _counts(self) -> tuple[str, str, str]:
        """The 200 jobs as fleetd counted them, exactly; and all others."""
        wait_for(lambda: self._ended("main") == JOBS, f"{JOBS} jobs to end", within=90)
        ones = self._ended("one")
        failures = JOBS // FAIL_EVERY

        again = self._repeated("small")
        exact = {"main": (JOBS - failures, failures), "one": (ones, 0), "small": (3 * PER_WORKER - 1 + again, 0)}
        nothing = dict.fromkeys(exact, (None, None))

        def counted() -> dict[str, tuple[int | None, int | None]]:
            jobs = {pool["name"]: pool["jobs"] for pool in self.fleetd.status()["pools"]}
            return {name: (jobs[name]["done"], jobs[name]["failed"]) for name in exact}

        told = last_of(counted, until=(exact, nothing))
        assert told in (exact, nothing), f"{told} were counted, not {exact}"
        known = told == exact
        mean = self.fleetd.pool("main")["jobs"]["runtime_avg"]
        assert mean is None or WORK <= mean < 10
        shown = (str(JOBS - failures), str(failures)) if known else (UNKNOWN, UNKNOWN)
        return *shown, UNKNOWN if mean is None else "yes"

    def _stop(self) -> None:
        """Ends all; no job but the endless one was interrupted, none was lost or done twice."""
        self.fleetd.run("stop")
        self.fleetd.leaves_nothing()
        jobs = self.app.jobs
        endless = {"slow-1"}
        for counted in (jobs.count("started"), jobs.ended()):
            assert counted.keys() - endless == self.pushed
            assert sum(n for job, n in counted.items() if job not in endless) == len(self.pushed) + self._repeated()
        assert jobs.count("failed").total() == JOBS // FAIL_EVERY

    # -- what they need --------------------------------------------------------------------------------------------

    def _push(self, count: int, queue: str, *, gate: Path | None = None, **options: float) -> None:
        """Jobs that have to end before the scenario does."""
        self.pushed |= self.app.enqueue(count, queue=queue, gate=str(gate or ""), **options)

    def _lines(self, what: str) -> dict[str, float]:
        """When each job wrote `what`, the last time."""
        return {line.id: line.at for line in self.app.jobs.lines() if line.what == what}

    def _ended(self, queue: str) -> int:
        """How many jobs of a queue have come to their end."""
        return sum(job.startswith(f"{queue}-") for job in self.app.jobs.ended())

    def _repeated(self, queue: str = "") -> int:
        """How many more times than once jobs were done: never, but by a framework that `repeats`, as a worker left."""
        ended = self.app.jobs.ended()
        again = {job for job, n in ended.items() if n > 1 and job.startswith(queue)}
        first = {line.id: line.worker for line in reversed(self.app.jobs.lines()) if line.id in again}
        assert self.repeats or not again, f"done more than once: {again}"
        assert not {job for job, worker in first.items() if alive(worker)}, "given back by who works on"
        return sum(ended[job] - 1 for job in again)

    def _exits(self, pool: str) -> list[Document]:
        """The exits of a pool's workers so far."""
        return [event for event in self.fleetd.events("worker.exited") if event["pool"] == pool]

    def _worker_of(self, job: str) -> Document:
        """What fleetd tells of the worker that has the job in hand, by the job's own word."""
        pid = self.app.jobs.in_hand()[job]
        workers = self.fleetd.pool("one")["workers"]
        found = [worker for worker in workers if worker["pid"] == pid]
        assert found, f"{job} is in the hands of {pid}, which is none of {workers}"
        return found[0]

    def _settled(self, read: Callable[[], str], column: str) -> str:
        """What is read, once it is as the docs have it; where they say nothing, once it changes no more."""
        known = None if self.known is None else getattr(self.known, column)
        last, since = read(), 0.0
        for passed in samples(seconds=PATIENCE, every=0.1):
            if last == known or (known is None and passed - since > STEADY):
                break
            seen = read()
            if seen != last:
                last, since = seen, passed
        return last


def last_of(read: Callable[[], T], *, until: Collection[T]) -> T:
    """What is read, once it is one of `until`, or when patience is at its end."""
    seen = read()
    for _ in samples(seconds=PATIENCE, every=0.2):
        if seen in until:
            break
        seen = read()
    return seen
