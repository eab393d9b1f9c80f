"""What a daemon tells of queues and of the jobs that came from them, with a framework of the user's own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.fleetd_cli import Document, Fleetd, kill
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis]

PLACES = {
    "prefix": "app:",
    "ready": ["{prefix}{queue}"],
    "delayed": ["{prefix}{queue}:later"],
    "reserved": ["{prefix}{queue}:in-hand"],
    "oldest": "first",
    "enqueued-at": ["at"],
}
# Four jobs of two classes from two queues, one of them failed; then it idles.
SPEAKS = "for line in 'start a Encode high 1' 'done a Encode high 1' 'start b Mail low 2' 'fail b Mail low 2'; do \
echo \"$line\"; done; exec sleep 1000"
LINE = r"(?P<name>\w+) (?P<queue>\w+) (?P<runtime>\d+)$"
PATTERNS = [
    {"meaning": meaning, "literal": f"{word} ", "regex": rf"^{word} (?P<id>\w+) {LINE}"}
    for meaning, word in (("started", "start"), ("done", "done"), ("failed", "fail"))
]
OWN = {"command": ["sh", "-c", SPEAKS], "patterns": PATTERNS, "brokers": {"redis": PLACES}}


def configure(fleetd: Fleetd, server: RedisServer, **broker: Any) -> None:
    pool = {"framework": "own", "queues": ["high", "low"], "numprocs": 2}
    brokers = {"default": {"url": server.url, "every": 0.1, **broker}}
    fleetd.configure({"media": pool}, framework={"own": OWN}, broker=brokers)


def queue(fleetd: Fleetd, name: str = "high") -> Document:
    return next(each for each in fleetd.pool("media")["queues"] if each["name"] == name)


def wait_for_queue(fleetd: Fleetd, expected: Mapping[str, Any], name: str = "high") -> None:
    def is_so() -> bool:
        found = queue(fleetd, name)
        return all(found[key] == value for key, value in expected.items())

    wait_for(is_so, f"{name} to be {expected}", every=0.1)


def test_queues_are_shown_as_they_are_and_as_unknown_while_their_broker_is_away(
    fleetd: Fleetd, redis_server: RedisServer
) -> None:
    with redis_server.connect() as client:
        client.rpush("app:high", json.dumps({"at": time.time() - 60}), "{}", "{}")
        client.zadd("app:high:later", {"due": time.time() - 5, "tomorrow": time.time() + 86400})
        client.zadd("app:high:in-hand", {"a": 1, "b": 2})
    configure(fleetd, redis_server)
    fleetd.start()
    wait_for_queue(fleetd, {"ready": 3, "delayed": 1, "due": 1, "reserved": 2, "wait_source": "measured"})
    assert 55 <= queue(fleetd)["oldest_age"] < 120  # by the time of day, which may be set meanwhile
    wait_for_queue(fleetd, {"ready": 0, "delayed": 0, "reserved": 0, "oldest_age": None, "wait": 0.0}, "low")
    shown = fleetd.run("status").stdout
    assert "3 ready, 1 due, 1 delayed, 2 in hand, oldest 1m " in shown

    redis_server.stop()
    wait_for_queue(fleetd, dict.fromkeys(("ready", "delayed", "due", "reserved", "oldest_age", "wait", "wait_source")))
    (broker,) = fleetd.status()["brokers"]
    assert (broker["name"], broker["reachable"]) == ("default", False)
    assert redis_server.url.removesuffix("/0") in broker["error"]
    assert "queues not known: broker default: redis://" in fleetd.run("status").stdout
    assert len(fleetd.events("broker.lost")) == 1
    redis_server.start()
    wait_for_queue(fleetd, {"ready": 0, "reserved": 0})  # it kept nothing
    assert len(fleetd.events("broker.reached")) == 1
    assert fleetd.status()["brokers"] == [{"name": "default", "reachable": True, "error": None}]


def test_a_broker_that_does_not_answer_holds_nothing_up(fleetd: Fleetd, redis_server: RedisServer) -> None:
    configure(fleetd, redis_server)
    fleetd.start()
    wait_for_queue(fleetd, {"ready": 0})
    with redis_server.paused():
        wait_for_queue(fleetd, {"ready": None})
        fleetd.run("restart", "--graceful", "media", timeout=20)
        fleetd.run("stop", timeout=20)


def test_a_reload_reads_elsewhere(fleetd: Fleetd, redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        client.rpush("app:high", "{}")
        client.rpush("new:high", "{}", "{}")
    configure(fleetd, redis_server)
    fleetd.start()
    before = fleetd.pids("media")
    wait_for_queue(fleetd, {"ready": 1})
    configure(fleetd, redis_server, prefix="new:")
    fleetd.run("reload")
    wait_for_queue(fleetd, {"ready": 2})
    assert fleetd.pids("media") == before


def test_jobs_are_counted_by_queue_and_class_and_the_counts_outlive_the_daemon(
    fleetd: Fleetd, redis_server: RedisServer
) -> None:
    configure(fleetd, redis_server)
    fleetd.start()

    def counts() -> dict[str, tuple[int, int]]:
        media = fleetd.pool("media")
        rows = [media, *media["queues"], *media["classes"]]
        return {row["name"]: (row["jobs"]["done"], row["jobs"]["failed"]) for row in rows}

    once = {"media": (2, 2), "high": (2, 0), "low": (0, 2), "Encode": (2, 0), "Mail": (0, 2)}
    wait_for(lambda: counts() == once, "four jobs to be counted", every=0.1)
    (low,) = (each["jobs"] for each in fleetd.pool("media")["queues"] if each["name"] == "low")
    assert (low["runtime_avg"], low["runtime_p95"]) == (2.0, 2.0)

    kill(fleetd.status()["pid"])
    wait_for(lambda: fleetd.run("health", code=None).returncode == 3, "the daemon to be gone", every=0.1)
    fleetd.start()
    assert counts() == once
    fleetd.run("stop")
    fleetd.start()
    twice = {name: (2 * done, 2 * failed) for name, (done, failed) in once.items()}
    wait_for(lambda: counts() == twice, "four more jobs to be counted", every=0.1)
