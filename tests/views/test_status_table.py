from __future__ import annotations

from typing import Any

import pytest

from fleetd.views.status_table import HEADER, Row, Tone, aligned, rows, size, span

NOW = 1_790_000_000.0


def worker(**changes: Any) -> dict[str, Any]:
    return {
        "name": "media:0",
        "state": "running",
        "pid": 4250,
        "healthy": True,
        "busy": False,
        "started_at": NOW - 3723,
        "jobs_done": 3,
        "jobs_failed": 0,
        "rss": 41_000_000,
        "job": None,
        "last_exit": None,
        "status": None,
    } | changes


def document(*workers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    pool = {
        "name": "media",
        "state": "running",
        "numprocs": 2,
        "jobs": {"done": 13, "failed": 1, "per_minute": 4.2, "runtime_avg": 1.3},
        "broker": "default",
        "queues": [queue("a", ready=12), queue("b")],
        "workers": list(workers),
    }
    return {"brokers": [{"name": "default", "reachable": True}], "pools": [pool | changes]}


def queue(name: str, **changes: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(("ready", "delayed", "due", "reserved", "oldest_age", "wait", "wait_source"))
    return {"name": name, "jobs": {"done": None, "failed": None}} | unknown | changes


def ended(**last: Any) -> dict[str, Any]:
    return {"state": "backoff", "last_exit": {"code": None, "signal": None} | last}


def what(each: dict[str, Any]) -> str:
    return list(rows(document(each), NOW))[-1].cells[-1]


def test_a_pool_and_its_worker() -> None:
    pool, waiting, running = rows(document(worker()), NOW)
    assert pool == Row(
        ("media", "running", "-", "-", "13", "1", "39.1M", "1 of 2 healthy, 4.2 jobs/min, 1.3s each, 12 waiting"),
        Tone.GOOD,
    )
    assert waiting == Row(("  a", "queue", "-", "-", "-", "-", "-", "12 ready"), Tone.PLAIN)
    assert running == Row(("  media:0", "running", "4250", "1h 2m", "3", "0", "39.1M", "idle"), Tone.GOOD)


def test_what_is_not_known_is_a_dash() -> None:
    waiting = worker(state="waiting", pid=None, started_at=None, jobs_done=None, jobs_failed=None, rss=None, busy=None)
    *_, row = rows(document(waiting), NOW)
    assert row == Row(("  media:0", "waiting", "-", "-", "-", "-", "-", ""), Tone.BUSY)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ready": 0}, "0 ready"),
        ({"ready": 0, "delayed": 4, "due": 0, "reserved": 2}, "0 ready, 4 delayed, 2 in hand"),
        ({"ready": 3, "due": 1, "oldest_age": 65.2, "wait": 65.2}, "3 ready, 1 due, oldest 1m 5s"),
        ({"ready": 3, "wait": 12.0, "wait_source": "estimated"}, "3 ready, wait about 12s"),
    ],
)
def test_how_full_a_queue_is(changes: dict[str, Any], text: str) -> None:
    _, row = rows(document(queues=[queue("a", **changes)]), NOW)
    assert row.cells[-1] == text


def test_a_broker_out_of_reach_is_said_where_its_queues_would_be() -> None:
    away = document(queues=[queue("a")]) | {"brokers": [{"name": "default", "reachable": False, "error": "no answer"}]}
    (pool,) = rows(away, NOW)
    assert pool.cells[-1].endswith(", queues not known: broker default: no answer")


def test_the_document_of_an_earlier_version_knows_no_brokers() -> None:
    earlier = document(queues=[{"name": "a", "ready": 1}])
    del earlier["brokers"]
    assert [row.cells[0] for row in rows(earlier, NOW)] == ["media", "  a"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"job": {"id": "x", "name": "Transcode", "queue": "hi", "started_at": NOW - 12}}, "Transcode (hi) for 12s"),
        ({"job": {"id": "x", "name": None, "queue": None, "started_at": NOW}}, "x for 0s"),
        ({"job": {"id": None, "name": None, "queue": None, "started_at": NOW}}, "a job for 0s"),
        ({"status": "warming up"}, "warming up"),
        ({"busy": None}, ""),
        (ended(code=3, reason="exit", at=NOW - 5), "last exit 5s ago: exit code 3"),
        (ended(signal=9, reason="oom", at=NOW), "last exit 0s ago: oom signal 9"),
    ],
)
def test_what_a_worker_does(changes: dict[str, Any], text: str) -> None:
    assert what(worker(**changes)) == text


def test_nothing_in_a_cell_can_move_the_cursor() -> None:
    job = {"id": "x", "name": "a\x1b[2Jb\rc\nd", "queue": None, "started_at": NOW}
    assert what(worker(job=job)) == "ab\\x0dc\\x0ad for 0s"


def test_columns_are_aligned() -> None:
    lines = [f"{before}{state}{after}" for before, state, after, _ in aligned(list(rows(document(worker()), NOW)))]
    assert lines == [
        "NAME       STATE     PID  UPTIME  DONE  FAILED  MEMORY  WHAT",
        "media      running     -       -    13       1   39.1M  1 of 2 healthy, 4.2 jobs/min, 1.3s each, 12 waiting",
        "  a        queue       -       -     -       -       -  12 ready",
        "  media:0  running  4250   1h 2m     3       0   39.1M  idle",
    ]


def test_lines_are_cut_to_the_terminal() -> None:
    job = {"id": "x", "name": "変換" * 30, "queue": None, "started_at": NOW}
    cut = aligned(list(rows(document(worker(job=job)), NOW)), 70)
    narrow = aligned(list(rows(document(worker(job=job)), NOW)), 10)
    assert [after.endswith("…") for _, _, after, _ in cut] == [False, True, False, True]
    assert [len(f"{before}{state}{after}") for before, state, after, _ in cut[:2]] == [60, 70]
    assert cut[3][2].count("変") == 3
    assert [after for _, _, after, _ in narrow] == ["", "", "", ""]


def test_an_empty_document_has_a_header() -> None:
    assert [line[:2] for line in aligned(list(rows({"pools": []}, NOW)))] == [(f"{HEADER[0]}  ", HEADER[1])]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m 0s"), (3600, "1h 0m"), (90061, "1d 1h"), (-3, "0s")],
)
def test_span(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (1023, "1023B"), (1024, "1.0K"), (1 << 30, "1.0G"), (1 << 42, "4.0T")]
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text
