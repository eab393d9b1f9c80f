"""The picture of a host is the document of the contract, made from real decisions of the core."""

from __future__ import annotations

import json

from msgspec.structs import replace

from fleetd.core.chance import Chance
from fleetd.core.decide import decide
from fleetd.core.effects import Spawn
from fleetd.core.events import (
    Event,
    Exited,
    JobReported,
    PauseRequested,
    QueuesRead,
    Restored,
    SaidStatus,
    ShutdownRequested,
    Source,
    Spawned,
    SpawnFailed,
    SpecChanged,
    StopRequested,
    Target,
    Tick,
)
from fleetd.core.queues import Depth
from fleetd.core.records import Remembered
from fleetd.core.spec import Backoff, FleetSpec, Launch, LineMeaning, PoolSpec
from fleetd.core.state import Moment, State
from fleetd.views.snapshot import UNTOLD, BrokerView, Identity, JobsView, QueueView, Sample, Snapshot, snapshot

WHO = Identity("media", "media-1", 4242, "0.1.0", 1_790_000_000.0)

# The fields of contract section 5.  A document may gain fields; it never loses one.
HOST = {"schema", "instance", "host", "pid", "version", "state", "started_at", "fleet", "pools"}
POOL = {"name", "framework", "state", "paused", "numprocs", "jobs", "queues", "workers"}
JOBS = {"done", "failed", "per_minute", "runtime_avg", "runtime_p95"}
QUEUE = {"name", "ready", "delayed", "reserved", "oldest_age", "wait", "wait_source"}
WORKER = {
    "name", "slot", "run", "pid", "state", "healthy", "busy", "epoch", "directory", "started_at", "jobs_done",
    "jobs_failed", "starts", "rss", "cpu", "output_dropped", "jobs_in_hand", "job", "last_exit",
}  # fmt: skip


class Host:
    """A core at work, and its picture."""

    def __init__(self, *pools: PoolSpec) -> None:
        self.state = State(Chance(1))
        self.now = 1000.0
        self.runs: list[str] = []
        self.tell(Restored(Remembered()))
        self.tell(SpecChanged(FleetSpec({pool.name: pool for pool in pools})))

    def tell(self, event: Event) -> None:
        effects = decide(self.state, event, Moment(self.now, 1_790_000_000 + self.now))
        self.runs += [effect.run for effect in effects if isinstance(effect, Spawn)]

    def started(self) -> None:
        for number, run in enumerate(self.runs):
            self.tell(Spawned(run, 100 + number, "/srv/r1"))

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick())

    def picture(self, samples: dict[str, Sample] | None = None, pools: frozenset[str] | None = None) -> Snapshot:
        return snapshot(self.state, Moment(self.now, 1_790_000_000 + self.now), WHO, samples or {}, pools)


def pool(name: str = "media", **more: object) -> PoolSpec:
    return PoolSpec(name, Launch(("work",), queues=("high", "low")), **more)  # type: ignore[arg-type]


def test_it_has_every_field_of_the_contract_and_is_json() -> None:
    host = Host(pool(numprocs=2))
    document = json.loads(json.dumps(host.picture().document()))
    (media,) = document["pools"]
    assert document.keys() >= HOST
    assert media.keys() >= POOL
    assert media["jobs"].keys() >= JOBS
    assert [queue["name"] for queue in media["queues"]] == ["high", "low"]
    assert all(queue.keys() >= QUEUE for queue in media["queues"])
    assert all(worker.keys() >= WORKER for worker in media["workers"])
    assert (document["schema"], document["fleet"], document["state"]) == (1, None, "running")


def test_what_is_not_known_is_none() -> None:
    host = Host(pool())
    host.started()
    (worker,) = host.picture().pools[0].workers
    assert (worker.busy, worker.jobs_done, worker.jobs_failed, worker.jobs_in_hand, worker.rss, worker.cpu) == (
        None,
    ) * 6
    assert host.picture().pools[0].jobs == UNTOLD
    queue = host.picture().pools[0].queues[0]
    assert queue == QueueView("high", None, None, None, None, None, None, None, UNTOLD, None)


def test_the_states_of_a_worker() -> None:
    host = Host(pool(backoff=Backoff(first=10.0)), pool("later", after=("media",)))

    def states() -> list[str]:
        return [worker.state for each in host.picture().pools for worker in each.workers]

    assert states() == ["starting", "waiting"]
    host.started()
    assert states() == ["starting", "waiting"]
    assert host.picture().pools[0].state == "degraded"
    host.passes(1.5)
    assert states() == ["running", "starting"]
    host.tell(Exited(host.runs[0], 1, None))
    assert states()[0] == "backoff"
    host.tell(StopRequested((Target("media"),)))
    assert states()[0] == "stopped"


def test_a_stopping_host_and_pool() -> None:
    host = Host(pool())
    host.started()
    host.passes(1.5)
    host.tell(ShutdownRequested())
    picture = host.picture()
    assert (picture.state, picture.pools[0].state, picture.pools[0].workers[0].state) == (
        "stopping",
        "stopping",
        "stopping",
    )
    host.tell(Exited(host.runs[0], 0, None))
    assert host.picture().pools[0].state == "stopped"


def test_a_paused_pool() -> None:
    host = Host(pool(pause_signal=12, resume_signal=18))
    host.started()
    host.passes(1.5)
    host.tell(PauseRequested((Target("media"),)))
    assert (host.picture().pools[0].state, host.picture().pools[0].paused) == ("paused", True)


def test_a_job_in_hand_and_the_counts() -> None:
    host = Host(pool(reports_jobs=True, reports_starts=True))
    host.started()
    host.passes(1.5)
    (run,) = host.runs
    host.tell(JobReported(run, LineMeaning.STARTED, Source.SOCKET, id="x", name="Transcode", queue="high"))
    host.now += 2
    (worker,) = host.picture().pools[0].workers
    assert worker.job is not None
    assert (worker.busy, worker.jobs_in_hand, worker.job.id, worker.job.name, worker.job.queue) == (
        True,
        1,
        "x",
        "Transcode",
        "high",
    )
    host.tell(JobReported(run, LineMeaning.DONE, Source.SOCKET, id="x"))
    jobs = host.picture().pools[0].jobs
    assert (jobs.done, jobs.failed, jobs.per_minute, jobs.runtime_avg, jobs.runtime_p95) == (1, 0, 1.0, 2.0, 2.0)
    host.passes(61)
    assert host.picture().pools[0].jobs.per_minute == 0.0
    (worker,) = host.picture().pools[0].workers
    assert (worker.busy, worker.job, worker.jobs_done) == (False, None, 1)


def test_how_the_last_run_ended() -> None:
    host = Host(pool())
    host.tell(SpawnFailed(host.runs[0], "command work: not found in PATH"))
    (worker,) = host.picture().pools[0].workers
    assert worker.last_exit is not None
    assert (worker.last_exit.code, worker.last_exit.signal, worker.last_exit.reason) == (None, None, "start-failed")
    assert (worker.run, worker.pid, worker.starts) == (None, None, 1)


def test_samples_and_what_a_worker_says_of_itself() -> None:
    host = Host(pool())
    host.started()
    (run,) = host.runs
    host.tell(SaidStatus(run, "at \x1b[2J work"))
    (worker,) = host.picture({run: Sample(41_000_000, 0.7, 5)}).pools[0].workers
    assert (worker.rss, worker.cpu, worker.output_dropped) == (41_000_000, 0.7, 5)
    assert worker.status is not None
    assert "\x1b" not in worker.status


def test_some_pools_only() -> None:
    host = Host(pool(), pool("mail"))
    assert [each.name for each in host.picture(pools=frozenset({"mail"})).pools] == ["mail"]


def test_queues_as_their_broker_tells_and_the_jobs_that_came_from_them() -> None:
    host = Host(pool(broker="main", reports_jobs=True))
    host.started()
    (run,) = host.runs
    host.passes(1.5)
    unix = 1_790_000_000 + host.now
    low = Depth(ready=6, delayed=2, due=1, reserved=3)
    host.tell(QueuesRead("main", {"media": {"high": Depth(ready=4, oldest_at=unix - 7.5), "low": low}}))
    assert [(queue.oldest_age, queue.wait, queue.wait_source) for queue in host.picture().pools[0].queues] == [
        (7.5, 7.5, "measured"),
        (None, None, None),
    ]
    started = JobReported(run, LineMeaning.STARTED, Source.SOCKET, "j", "Encode", "low", enqueued_at=unix - 3)
    host.tell(started)
    host.passes(2.0)
    host.tell(JobReported(run, LineMeaning.FAILED, Source.SOCKET, "j"))
    _, queue = host.picture().pools[0].queues
    jobs = JobsView(0, 1, 1.0, 2.0, 2.0, 3.0, (1,), 1)
    assert queue == QueueView("low", 6, 2, 1, 3, None, 14.0, "estimated", jobs, None)
    assert host.picture().pools[0].jobs == jobs
    (encode,) = host.picture().pools[0].classes
    assert (encode.name, encode.jobs) == ("Encode", replace(jobs, by_minute=None, failed_lately=None))
    assert host.picture().brokers == (BrokerView("main", reachable=True, error=None),)


def test_of_a_broker_out_of_reach_nothing_is_known() -> None:
    host = Host(pool(broker="main"))
    assert host.picture().brokers == (BrokerView("main", reachable=None, error=None),)
    host.tell(QueuesRead("main", {"media": {"high": Depth(ready=0)}}))
    host.tell(QueuesRead("main", error="redis://queue:6379/0: connection refused"))
    picture = host.picture()
    assert [queue.ready for queue in picture.pools[0].queues] == [None, None]
    assert picture.brokers == (BrokerView("main", reachable=False, error="redis://queue:6379/0: connection refused"),)


def test_a_framework_that_tells_no_starts_is_not_said_to_be_idle() -> None:
    host = Host(pool(reports_jobs=True))
    host.started()
    (run,) = host.runs
    (worker,) = host.picture().pools[0].workers
    assert (worker.busy, worker.jobs_in_hand, worker.jobs_done) == (None, None, 0)
    host.tell(JobReported(run, LineMeaning.STARTED, Source.OUTPUT, "j"))
    (worker,) = host.picture().pools[0].workers
    assert (worker.busy, worker.jobs_in_hand) == (True, 1)


def test_a_framework_that_may_be_silent_has_no_counts_until_it_tells_of_a_job() -> None:
    host = Host(pool(reports_jobs=False))
    host.started()
    (run,) = host.runs
    assert host.picture().pools[0].jobs == UNTOLD
    host.tell(JobReported(run, LineMeaning.STARTED, Source.OUTPUT, "j"))
    assert (host.picture().pools[0].jobs.done, host.picture().pools[0].workers[0].jobs_done) == (0, 0)


def test_minutes_that_were_seen_are_told_one_by_one() -> None:
    host = Host(pool(reports_jobs=True))
    host.started()
    (run,) = host.runs
    for _ in range(2):
        host.tell(JobReported(run, LineMeaning.DONE, Source.OUTPUT, f"j{host.now}"))
        host.passes(60.0)
    assert host.picture().pools[0].jobs.by_minute == (1, 1, 0)
    host.passes(6000.0)
    assert host.picture().pools[0].jobs.by_minute == (0,) * 60


def test_failures_of_the_last_hour_are_told_beside_all() -> None:
    host = Host(pool(reports_jobs=True))
    host.started()
    (run,) = host.runs
    host.tell(JobReported(run, LineMeaning.FAILED, Source.OUTPUT, "j"))
    host.passes(59 * 60.0)
    assert [(jobs.failed, jobs.failed_lately) for jobs in (host.picture().pools[0].jobs,)] == [(1, 1)]
    host.passes(60.0)
    assert [(jobs.failed, jobs.failed_lately) for jobs in (host.picture().pools[0].jobs,)] == [(1, 0)]


def test_ninety_five_in_a_hundred_are_not_above_the_p95() -> None:
    host = Host(pool(reports_jobs=True))
    host.started()
    (run,) = host.runs
    for seconds in range(1, 21):
        host.tell(JobReported(run, LineMeaning.DONE, Source.OUTPUT, f"j{seconds}", runtime=float(seconds)))
    assert host.picture().pools[0].jobs.runtime_p95 == 19.0
