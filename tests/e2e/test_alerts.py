"""Alerts of real daemons: what people are told, once for each end of an incident, whatever happens on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash import kill_daemon
from tests.support.fleetd_cli import Document, Fleetd, kill
from tests.support.real_fleet import NAME, RealFleet, daemon_pid, real_fleet
from tests.support.redis_server import RedisServer
from tests.support.redis_tls import authority, running_tls_server
from tests.support.waiting import stays, wait_for
from tests.support.webhook_receiver import HANG, SECRET, Receiver, receiver
from tests.support.worker_pools import ready_shell

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

BROKEN = "if test -e broken; then echo '<no> such table'; exit 3; fi; echo ready; exec sleep 1000"
BACKOFF = {"backoff": {"first": "20ms", "max": "100ms"}}
FAST = {"healthy-after": "50ms", **BACKOFF}


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def pool(directory: Path, **keys: Any) -> Document:
    return ready_shell(BROKEN, directory=str(directory), **BACKOFF, **keys)


def alert(hook: Receiver, *words: str, **keys: Any) -> Document:
    return {"on": list(words), "webhook": hook.url, "recover-after": "300ms", **keys}


def crash(directory: Path, *hosts: Fleetd) -> None:
    """Every worker fails from now on, on all hosts at once."""
    (directory / "broken").touch()
    for pid in [pid for host in hosts for pid in host.pids("media").values()]:
        kill(pid)


def test_a_crash_loop_is_told_when_it_begins_and_when_it_is_over(fleetd: Fleetd, hook: Receiver) -> None:
    hook.answers = [500]
    fleetd.configure({"media": pool(fleetd.directory, numprocs=2)}, alert=[alert(hook, "crash-loop")])
    fleetd.start()
    crash(fleetd.directory, fleetd)
    (opened,) = hook.told(1)
    told = {"event": "crash-loop", "state": "opened", "fleet": None, "hosts": [opened["host"]], "instance": "test"}
    told |= {"pool": "media", "queue": None, "error": "<no> such table", "threshold": 0.0}
    assert {key: opened[key] for key in told} == told
    assert opened["worker"] in {"media:0", "media:1"}
    assert "OPENED crash-loop media" in opened["text"]
    assert "&lt;no&gt; such table" in opened["text"]
    (fleetd.directory / "broken").unlink()
    recovered = hook.told(2)[1]
    assert (recovered["state"], recovered["since"]) == ("recovered", opened["since"])
    assert recovered["ended"] > recovered["since"]
    assert [event["kind"] for event in fleetd.events() if event["kind"].startswith("alert.")] == [
        "alert.opened",
        "alert.failed",
        "alert.recovered",
    ]
    said = fleetd.daemon_log() + json.dumps(fleetd.events()) + json.dumps(fleetd.status())
    assert f"the webhook http://127.0.0.1:{hook.port} could not be told" in said
    assert SECRET not in said
    assert [document["state"] for document in hook.asked] == ["opened", "opened", "recovered"]


def test_a_daemon_alone_tells_a_webhook_over_tls(fleetd: Fleetd) -> None:
    with authority() as ca, receiver(ca.issue("server", "IP:127.0.0.1")) as hook:
        fleetd.environment["SSL_CERT_FILE"] = str(ca.certificate)
        fleetd.configure({"media": pool(fleetd.directory)}, alert=[alert(hook, "pool-degraded", **{"for": "0s"})])
        fleetd.start()
        fleetd.run("signal", "KILL", "*")
        hook.told(2)
        assert fleetd.events("alert.failed") == []
    assert hook.states()[:2] == [("pool-degraded", "opened"), ("pool-degraded", "recovered")]


@pytest.mark.redis
def test_a_daemon_alone_reads_queues_over_tls(fleetd: Fleetd) -> None:
    places = {"ready": ["jobs:{queue}"]}
    with running_tls_server() as server:
        url = f"rediss://127.0.0.1:{server.port}/0?ssl_ca_certs={server.authority.certificate}"
        fleetd.configure(
            {"media": {"framework": "own", "queues": ["q"], **FAST}},
            framework={"own": {"command": ["sleep", "1000"], "brokers": {"redis": places}}},
            broker={"default": {"url": url, "every": 0.1}},
        )
        fleetd.start()
        with server.server.connect() as client:
            client.rpush("jobs:q", "1")
        wait_for(lambda: fleetd.pool("media")["queues"][0]["ready"] == 1, "its depth")


@pytest.mark.redis
def test_a_long_wait_is_told_of_a_real_queue(fleetd: Fleetd, hook: Receiver, redis_server: RedisServer) -> None:
    places = {"ready": ["jobs:{queue}"], "oldest": "first", "enqueued-at": ["at"]}
    own = {"command": ["sleep", "1000"], "brokers": {"redis": places}}
    slow = alert(hook, "long-wait", queues=["slow"], above="10m")
    fleetd.configure(
        {"media": {"framework": "own", "queues": ["high", "slow"], **FAST}},
        framework={"own": own},
        broker={"default": {"url": redis_server.url, "every": 0.1}},
        alert=[alert(hook, "long-wait", queues=["high"]), slow],
    )
    with redis_server.connect() as client:
        for queue in ("high", "slow"):
            client.rpush(f"jobs:{queue}", json.dumps({"at": time.time() - 100}))
        fleetd.start()
        (opened,) = hook.told(1)
        client.delete("jobs:high", "jobs:slow")
    assert (opened["pool"], opened["queue"], opened["threshold"]) == ("media", "high", 60.0)
    assert 95 <= opened["value"] < 160  # by the time of day, which may be set meanwhile
    hook.told(2)
    assert hook.states() == [("long-wait", "opened"), ("long-wait", "recovered")], "slow has its own threshold"
    waits = {event["fields"]["queue"] for event in fleetd.events("queue.long-wait")}
    assert waits == {"high", "slow"}, "the events tell of waits beyond a minute, whatever the alerts are"


def test_a_daemon_killed_before_it_could_tell_tells_it_later_and_once(fleetd: Fleetd, hook: Receiver) -> None:
    hook.answers = [HANG]
    fleetd.configure({"media": pool(fleetd.directory)}, alert=[alert(hook, "crash-loop")])
    fleetd.start()
    crash(fleetd.directory, fleetd)
    wait_for(lambda: hook.asked, "the first attempt")
    assert fleetd.status()["state"] == "running", "it does not wait for the receiver"
    kill_daemon(fleetd)
    fleetd.run("start", "--detach", code=None)
    hook.told(1)
    assert len(fleetd.events("alert.opened")) == 0, "it was announced by the daemon before"
    # The answer has to reach the daemon, and its memory: one that is killed before that is right to tell it again.
    wait_for(lambda: remembered_as_told(fleetd) == ["opened"], "it to be remembered")
    kill_daemon(fleetd)
    fleetd.run("start", "--detach", code=None)
    wait_for(lambda: fleetd.pool("media")["state"] == "degraded", "the next daemon to see it")
    stays(lambda: len(hook.taken) == 1, "told once", seconds=1.0)
    (fleetd.directory / "broken").unlink()
    hook.told(2)
    assert hook.states() == [("crash-loop", "opened"), ("crash-loop", "recovered")]


def remembered_as_told(fleetd: Fleetd) -> list[str]:
    """Of each incident what people were told last, as the next daemon will find it."""
    file = fleetd.directory / "state" / fleetd.name / "state.json"
    return [incident.get("told", "") for incident in json.loads(file.read_text())["incidents"]]


@pytest.fixture
def fleet(short_path: Path, redis_server: RedisServer) -> Iterator[RealFleet]:
    with real_fleet(short_path, redis_server, redis_server.url) as hosts:
        yield hosts


def two_hosts(fleet: RealFleet, hook: Receiver) -> Iterator[Fleetd]:
    for name in ("h1", "h2"):
        host = fleet.host(name, {"media": pool(fleet.directory)})
        tables = {"fleet": {"name": NAME, "redis": fleet.url, "host": name}, "alert": [alert(hook, "crash-loop")]}
        host.configure({"media": pool(fleet.directory)}, **tables)
        yield host


@pytest.mark.redis
def test_one_release_that_crashes_on_two_hosts_is_one_incident(fleet: RealFleet, hook: Receiver) -> None:
    hosts = list(two_hosts(fleet, hook))
    fleet.start()
    crash(fleet.directory, *hosts)
    (opened,) = hook.told(1)
    assert (opened["fleet"], opened["hosts"]) == (NAME, ["h1", "h2"])
    assert f"({NAME}: h1, h2)" in opened["text"]
    (fleet.directory / "broken").unlink()
    recovered = hook.told(2)[1]
    assert recovered["hosts"] == ["h1", "h2"]
    stays(lambda: len(hook.asked) == 2, "told once", seconds=2.5)
    kinds = [event["kind"] for event in fleet.events() if event["kind"].startswith("alert.")]
    assert kinds == ["alert.opened", "alert.recovered"]


@pytest.mark.redis
@pytest.mark.full
def test_a_host_that_dies_before_it_could_tell_is_followed_by_another(fleet: RealFleet, hook: Receiver) -> None:
    hook.answers = [HANG]
    hosts = list(two_hosts(fleet, hook))
    fleet.start()
    crash(fleet.directory, *hosts)
    wait_for(lambda: hook.asked, "the first attempt")
    teller = fleet.hosts[hook.asked[0]["host"]]
    kill_daemon(teller)
    (opened,) = hook.told(1)
    assert opened["host"] != hook.asked[0]["host"]
    assert opened["hosts"] == ["h1", "h2"], "it may only be away"
    teller.run("start", "--detach", code=None)
    assert daemon_pid(teller)
    (fleet.directory / "broken").unlink()
    hook.told(2, within=60)
    stays(lambda: len(hook.taken) == 2, "told once", seconds=5)
    assert hook.states() == [("crash-loop", "opened"), ("crash-loop", "recovered")]


@pytest.mark.redis
@pytest.mark.full
def test_without_its_redis_each_host_tells_its_own(fleet: RealFleet, hook: Receiver) -> None:
    hosts = list(two_hosts(fleet, hook))
    fleet.start()
    fleet.server.stop()
    crash(fleet.directory, *hosts)
    assert [document["hosts"] for document in sorted(hook.told(2), key=lambda one: one["host"])] == [["h1"], ["h2"]]
    fleet.server.start()
    wait_for(lambda: all(host.status()["fleet"]["connected"] for host in hosts), "both to be back")
    (fleet.directory / "broken").unlink()
    hook.told(3)
    stays(lambda: len(hook.taken) == 3, "its end is told once", seconds=5)
    assert hook.taken[2]["state"] == "recovered"
