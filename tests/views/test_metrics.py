"""The table of metrics, drawn from real decisions of the core and served in the formats of Prometheus."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from fleetd.core.chance import Chance
from fleetd.core.decide import decide
from fleetd.core.effects import Spawn
from fleetd.core.events import Event, Exited, JobReported, QueuesRead, Restored, Source, Spawned, SpecChanged, Tick
from fleetd.core.membership import Membership
from fleetd.core.queues import Depth, Place
from fleetd.core.records import Remembered
from fleetd.core.spec import Backoff, FleetSpec, Launch, LineMeaning, PoolSpec
from fleetd.core.state import Moment, State
from fleetd.shell.exposition import exposed
from fleetd.views.metrics.metric import Kind, OfPool, Own, Scrape
from fleetd.views.metrics.pools import POOL_STATES, WORKER_STATES
from fleetd.views.metrics.table import TABLE
from fleetd.views.snapshot import FleetView, Identity, QueueView, Snapshot, snapshot
from tests.support.prometheus_server import promtool

WHO = Identity("media", "media-1", 4242, "0.1.0", 1_790_000_000.0)
OWN = Own("3.11.7", 25_000_000, 1.5, 1_789_999_999.0, 30, 1024)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Series = dict[str, dict[tuple[str, ...], float]]


class Host:
    """A core at work, and what Prometheus is told of it."""

    def __init__(self, *pools: PoolSpec, fleet: Membership | None = None) -> None:
        self.state, self.now, self.runs = State(Chance(1), fleet=fleet), 1000.0, list[str]()
        self.tell(Restored(Remembered()))
        self.tell(SpecChanged(FleetSpec({pool.name: pool for pool in pools})))
        for number, run in enumerate(list(self.runs)):
            self.tell(Spawned(run, 100 + number, "/srv/r1"))
        self.passes(1.5)

    def tell(self, event: Event) -> None:
        effects = decide(self.state, event, Moment(self.now, 1_790_000_000 + self.now))
        self.runs += [effect.run for effect in effects if isinstance(effect, Spawn)]

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick())

    def scrape(self, pools: dict[str, OfPool] | None = None) -> Scrape:
        picture: Snapshot = snapshot(self.state, Moment(self.now, 1_790_000_000 + self.now), WHO, {})
        return Scrape(picture, OWN, pools or {})


def pool(name: str = "media", queues: tuple[str, ...] = ("high", "low"), **more: Any) -> PoolSpec:
    places = tuple(Place(queue, (queue,)) for queue in queues)
    return PoolSpec(name, Launch(("work",), queues=queues), broker="default", places=places, **more)


def served(scrape: Scrape, accept: str = "") -> Series:
    """Samples by name and label values, in the order of the labels in the table."""
    body, _ = exposed(scrape, accept)
    labels = {metric.name: metric.labels for metric in TABLE}
    found: Series = {}
    for family in (openmetrics if accept else plain)(body.decode()):
        for sample in family.samples:
            order = labels.get(sample.name, tuple(sorted(sample.labels)))
            key = tuple(sample.labels[label] for label in order)
            assert sample.labels.keys() == set(order)
            assert key not in found.setdefault(sample.name, {})
            found[sample.name][key] = sample.value
    return found


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_exactly_the_metrics_of_the_table_are_served(accept: str) -> None:
    body, kind = exposed(Host(pool()).scrape(), accept)
    assert kind.startswith("application/openmetrics-text" if accept else "text/plain; version=0.0.4")
    named = re.findall(r"(?m)^# TYPE (\S+) (\S+)$", body.decode())
    suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"} if accept else {}
    wanted = [(metric.name.removesuffix(suffix.get(metric.kind, "")), metric.kind) for metric in TABLE]
    assert [name for name, _ in named] == [name for name, _ in wanted]
    assert [kind for _, kind in named] == ["gauge" if not accept and k is Kind.INFO else k for _, k in wanted]


def test_names_follow_the_rules_of_prometheus() -> None:
    for metric in TABLE:
        assert metric.name.startswith(("fleetd_", "process_")) or metric.name == "redis_queue_depth"
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert metric.name.endswith("_info") == (metric.kind is Kind.INFO)
        assert not {"pid", "run", "worker", "slot", "id"} & set(metric.labels)
        assert metric.help.endswith(".")
    assert len({metric.name for metric in TABLE}) == len(TABLE)


@pytest.mark.process
def test_promtool_is_content_with_what_is_served() -> None:
    host = Host(pool(reports_jobs=True, reports_starts=True), fleet=Membership("acme", "media-1", "media-1/media"))
    host.tell(QueuesRead("default", {"media": {"high": Depth(3, 2, 1, 1, 1_790_000_990.0), "low": Depth(0)}}))
    body, _ = exposed(host.scrape(), "")
    promtool("check", "metrics", said=body.decode())


def test_a_queue_is_0_when_empty_and_absent_when_unknown() -> None:
    host = Host(pool())
    before = served(host.scrape())
    of_queues = {"fleetd_queue_depth", "fleetd_queue_oldest_age_seconds", "fleetd_queue_wait_seconds"}
    of_queues |= {"fleetd_queue_wait_estimated", "redis_queue_depth", "fleetd_broker_up"}
    assert not of_queues & before.keys()
    host.tell(QueuesRead("default", {"media": {"high": Depth(0, 0, 0, 0)}}))
    empty = served(host.scrape())
    states = ("ready", "delayed", "due", "reserved")
    assert empty["fleetd_queue_depth"] == {("media", "high", state): 0 for state in states}
    assert empty["fleetd_queue_oldest_age_seconds"] == empty["fleetd_queue_wait_seconds"] == {("media", "high"): 0}
    assert empty["fleetd_queue_wait_estimated"] == {("media", "high"): 0}
    assert empty["redis_queue_depth"] == {("high",): 0}
    assert empty["fleetd_broker_up"] == {("default",): 1}
    host.tell(QueuesRead("default", error="no answer"))
    lost = served(host.scrape())
    assert lost["fleetd_broker_up"] == {("default",): 0}
    assert not (of_queues - {"fleetd_broker_up"}) & lost.keys()


def test_a_queue_with_jobs() -> None:
    host = Host(pool())
    host.tell(QueuesRead("default", {"media": {"high": Depth(3, 2, 1, 4, 1_790_000_991.5)}}))
    found = served(host.scrape())
    depths = {"ready": 3.0, "delayed": 2.0, "due": 1.0, "reserved": 4.0}
    assert found["fleetd_queue_depth"] == {("media", "high", state): count for state, count in depths.items()}
    assert found["fleetd_queue_oldest_age_seconds"] == {("media", "high"): 10.0}
    assert found["redis_queue_depth"] == {("high",): 4}


def queue(name: str, ready: int | None) -> QueueView:
    (whole,) = snapshot(Host(pool(queues=(name,))).state, Moment(0, 0), WHO, {}).pools[0].queues
    return replace(whole, ready=ready)


def test_a_queue_that_pools_share_is_told_once_and_others_of_its_name_are_added() -> None:
    (one,) = Host(pool(queues=("high",))).scrape().host.pools

    def depth(*pools: tuple[str, str, int | None]) -> dict[tuple[str, ...], float]:
        found = [
            replace(one, name=f"p{i}", framework=framework, broker=broker, queues=(queue("high", ready),))
            for i, (framework, broker, ready) in enumerate(pools)
        ]
        host = Host(pool()).scrape()
        return served(replace(host, host=replace(host.host, pools=tuple(found)))).get("redis_queue_depth", {})

    assert depth(("rq", "a", 5), ("rq", "a", 5)) == {("high",): 5}
    assert depth(("rq", "a", None), ("rq", "a", 5)) == {("high",): 5}
    assert depth(("rq", "a", 5), ("laravel", "a", 2), ("rq", "b", 1)) == {("high",): 8}
    assert depth(("rq", "a", 5), ("rq", "b", None)) == {}


def test_jobs_and_their_runtimes() -> None:
    host = Host(pool(reports_jobs=True, reports_starts=True))
    assert served(host.scrape())["fleetd_jobs_total"] == {("media", "done"): 0, ("media", "failed"): 0}
    for number, (meaning, runtime) in enumerate(
        [(LineMeaning.DONE, 0.02), (LineMeaning.DONE, 7.0), (LineMeaning.FAILED, 9999.0)]
    ):
        host.tell(JobReported(host.runs[0], meaning, Source.SOCKET, id=str(number), queue="high", runtime=runtime))
    for accept in ("", OPENMETRICS):
        found = served(host.scrape(), accept)
        assert found["fleetd_jobs_total"] == {("media", "done"): 2, ("media", "failed"): 1}
        jobs = found["fleetd_queue_jobs_total"]
        assert {key[1:]: count for key, count in jobs.items()} == {
            ("high", "done"): 2,
            ("high", "failed"): 1,
            ("low", "done"): 0,
            ("low", "failed"): 0,
        }
        buckets = {key[0]: count for key, count in found["fleetd_job_runtime_seconds_bucket"].items()}
        assert (buckets["0.01"], buckets["0.025"], buckets["5.0"], buckets["10.0"], buckets["3600.0"]) == (
            0,
            1,
            1,
            2,
            2,
        )
        assert buckets["+Inf"] == found["fleetd_job_runtime_seconds_count"]["media",] == 3
        assert found["fleetd_job_runtime_seconds_sum"]["media",] == pytest.approx(10006.02)


def test_a_queue_has_no_jobs_only_if_all_jobs_say_which_queue_they_were_of() -> None:
    host = Host(pool(reports_jobs=True, reports_starts=True))

    def told_after_a_job_of(queue: str | None, number: int) -> dict[tuple[str, ...], float]:
        host.tell(JobReported(host.runs[0], LineMeaning.DONE, Source.SOCKET, id=str(number), queue=queue))
        return served(host.scrape()).get("fleetd_queue_jobs_total", {})

    low = {("media", "low", "done"): 0, ("media", "low", "failed"): 0}
    assert told_after_a_job_of("high", 1) == {("media", "high", "done"): 1, ("media", "high", "failed"): 0} | low
    assert told_after_a_job_of(None, 2) == {("media", "high", "done"): 1, ("media", "high", "failed"): 0}
    assert told_after_a_job_of("low", 3)["media", "low", "done"] == 1
    assert served(host.scrape())["fleetd_jobs_total"]["media", "done"] == 3


def test_nothing_is_said_of_jobs_that_nobody_tells_of() -> None:
    found = served(Host(pool()).scrape())
    absent = {
        "fleetd_jobs_total",
        "fleetd_queue_jobs_total",
        "fleetd_job_runtime_seconds_bucket",
        "fleetd_workers_busy",
    }
    assert not absent & found.keys()


def test_workers_by_state_their_starts_and_a_crash_loop() -> None:
    host = Host(pool(numprocs=2, backoff=Backoff(first=1.0, max=1.0)))
    found = served(host.scrape())
    assert found["fleetd_workers"] == {("media", state): 2.0 * (state == "running") for state in WORKER_STATES}
    assert found["fleetd_pool_state"] == {("media", state): float(state == "running") for state in POOL_STATES}
    assert found["fleetd_pool_desired_workers"] == {("media",): 2}
    for crashes in range(5):
        assert served(host.scrape())["fleetd_workers_crash_looping"] == {("media",): 0}
        host.tell(Exited(host.runs[0 if not crashes else -1], None, 11))
        host.passes(0.01)
        if crashes < 4:
            host.passes(5)
            host.tell(Spawned(host.runs[-1], 200 + crashes, "/srv/r1"))
    found = served(host.scrape())
    assert found["fleetd_workers_crash_looping"] == {("media",): 1}
    assert found["fleetd_workers"]["media", "backoff"] == 1
    assert found["fleetd_pool_state"]["media", "degraded"] == 1
    starts = {reason: count for (_, reason), count in found["fleetd_worker_starts_total"].items() if count}
    assert starts == {"first": 2, "signal": 4}


def test_what_processes_use() -> None:
    found = served(Host(pool()).scrape({"media": OfPool(5_000_000, 12.5, 4096)}))
    assert found["fleetd_workers_memory_bytes"] == {("media",): 5_000_000}
    assert found["fleetd_workers_cpu_seconds_total"] == {("media",): 12.5}
    assert found["fleetd_output_dropped_bytes_total"] == {("media",): 4096}
    assert found["process_open_fds"] == {(): 30}
    assert found["fleetd_build_info"] == {("0.1.0", "3.11.7"): 1}


def test_the_fleet_and_its_epochs() -> None:
    scrape = Host(pool(numprocs=2)).scrape()
    alone = served(scrape)
    of_fleets = {"fleetd_coordination_up", "fleetd_fleet_member", "fleetd_restart_epoch", "fleetd_restart_epoch_target"}
    assert not of_fleets & alone.keys()

    def told(fleet: FleetView, *epochs: int | None, target: int | None = None) -> Series:
        (media,) = scrape.host.pools
        workers = tuple(replace(each, epoch=epoch) for each, epoch in zip(media.workers, epochs, strict=True))
        pools = (replace(media, workers=workers, epoch=target),)
        return served(replace(scrape, host=replace(scrape.host, fleet=fleet, pools=pools)))

    lost = told(FleetView("acme", False, None, None, False), None, None)
    assert of_fleets & lost.keys() == {"fleetd_coordination_up", "fleetd_fleet_member"}
    assert lost["fleetd_coordination_up"] == {("acme",): 0}
    member = FleetView("acme", True, 12, None, True)
    assert told(member, 12, 10, target=12)["fleetd_restart_epoch"] == {("media",): 10}
    assert told(member, 12, None, target=12)["fleetd_restart_epoch"] == {("media",): 0}
    assert told(member, 12, 12, target=12)["fleetd_restart_epoch_target"] == {("media",): 12}


HOSTILE = [
    'a"b',
    "back\\slash",
    "new\nline",
    "\x1b[31mred",
    "\x00",
    "\u2028",
    "caf\u00e9",
    "\udcff",
    'x"} 1\nup 0',
    "",
    "\r",
]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_names_from_outside_cannot_break_the_format(accept: str) -> None:
    host = Host(pool(queues=tuple(HOSTILE)))
    host.tell(QueuesRead("default", {"media": {name: Depth(7) for name in HOSTILE}}))
    body, _ = exposed(host.scrape(), accept)
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", body)
    found = served(host.scrape(), accept)["redis_queue_depth"]
    assert len(found) == len(HOSTILE)
    assert set(found.values()) == {7}
    assert {('a"b',), ("back\\slash",), ("new\\x0aline",), ("caf\u00e9",)} <= found.keys()


@given(st.lists(st.text(), unique=True, max_size=5))
def test_whatever_the_names_no_series_is_there_twice(names: list[str]) -> None:
    host = Host(pool(queues=tuple(names)))
    host.tell(QueuesRead("default", {"media": {name: Depth(7) for name in names}}))
    served(host.scrape())


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=",
        "application/openmetrics-text; version=1.0.0; escaping=\xff",
        "application/openmetrics-text; version=9.9.9",
        "application/openmetrics-text; version=1.0.0\xff; escaping=x",
        "text/plain; version=1.0.0; escaping=nonsense",
        ";;;,,,=",
        "application/openmetrics-text" * 200,
    ],
)
def test_an_odd_accept_header_is_answered_in_some_format(accept: str) -> None:
    body, kind = exposed(Host(pool()).scrape(), accept)
    assert b"fleetd_build_info" in body
    assert re.fullmatch(r"[ -~]+", kind)


def test_the_header_of_prometheus_itself_gets_openmetrics() -> None:
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    body, kind = exposed(Host(pool()).scrape(), accept)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
