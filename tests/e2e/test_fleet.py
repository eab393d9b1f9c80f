"""Several daemons on a real Redis, restarted by a CI machine that has nothing but the address (P4 to P7)."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash import kill_daemon
from tests.support.fleetd_cli import Document, taking_jobs
from tests.support.real_fleet import NAME, RealFleet, real_fleet
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_pools import ready_shell

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.timeout(240)]

SIX = tuple(f"h{number}" for number in range(1, 7))
WORKER = ["/bin/sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done']
CRASH = "echo the new release is broken; echo Traceback: no such table; exit 3"
BROKEN = f"if test -e broken; then {CRASH}; fi; echo ready; exec sleep 1000"


@pytest.fixture
def fleet(short_path: Path, redis_server: RedisServer) -> Iterator[RealFleet]:
    with real_fleet(short_path, redis_server, redis_server.url) as hosts:
        yield hosts


def pool(**keys: Any) -> Document:
    return {"command": WORKER, "numprocs": 2, "healthy-after": "200ms", **keys}


def test_six_hosts_two_at_a_time(fleet: RealFleet) -> None:
    for name in SIX:
        fleet.host(name, {"media": pool(numprocs=3)}, **{"max-parallel-hosts": 2})
    fleet.start()
    before = fleet.pids()
    said = fleet.ci("restart", "--graceful", "--label", "v2").stdout
    assert re.search(r"18 workers", said), said
    assert fleet.most_at_once() <= 2
    hosts = fleet.status()["hosts"]
    assert [host["host"] for host in hosts] == list(SIX)
    (epoch,) = {worker["epoch"] for host in hosts for worker in host["pools"][0]["workers"]}
    assert epoch == fleet.status()["epoch"]
    after = fleet.pids()
    assert all(not set(before[name].values()) & set(after[name].values()) for name in SIX)
    events = fleet.events()
    for name in SIX:
        check_never_below(3, [event for event in events if event["host"] == name])
    rollout = fleet.rollout(epoch)
    assert (rollout["state"], rollout["label"]) == ("done", "v2")


def check_never_below(numprocs: int, events: list[Document]) -> None:
    """Healthy workers that are not draining, counted through one host's events."""
    healthy: set[int] = set()
    reached = False
    for event in events:
        pid = event["fields"].get("pid")
        if event["kind"] == "worker.healthy":
            healthy.add(pid)
        elif event["kind"] in {"worker.draining", "worker.exited"}:
            healthy.discard(pid)
        reached = reached or len(healthy) >= numprocs
        assert not reached or len(healthy) >= numprocs, event


def test_p6_a_broken_release_on_one_host_fails_the_deploy(fleet: RealFleet) -> None:
    hosts = SIX[:4]
    for name in hosts:
        release = fleet.directory / f"release-of-{name}"
        release.mkdir()
        media = ready_shell(BROKEN, numprocs=2, directory=str(release))
        fleet.host(name, {"media": media}, **{"max-parallel-hosts": 1})
    fleet.start()
    before = fleet.pids()
    broken = fleet.directory / "release-of-h3" / "broken"
    broken.touch()
    failed = fleet.ci("restart", "--graceful", code=1)
    assert "h3" in failed.stderr
    assert "Traceback: no such table" in failed.stderr
    after = fleet.pids()
    assert after["h3"] == before["h3"]
    untouched = [name for name in hosts if after[name] == before[name]]
    assert "h3" in untouched
    assert {event["host"] for event in fleet.events() if event["kind"] == "turn.taken"} == set(hosts) - set(
        untouched
    ) | {"h3"}
    broken.unlink()
    fleet.ci("restart", "--graceful")
    mended = fleet.pids()
    assert all(not set(before[name].values()) & set(mended[name].values()) for name in hosts)


def table(fleet: RealFleet, name: str) -> Document:
    return {"name": NAME, "redis": fleet.url, "host": name, "max-parallel-hosts": 1}


def test_kill_9_of_the_requester_changes_nothing(fleet: RealFleet) -> None:
    for name in SIX[:3]:
        fleet.host(name, {"media": pool()}, **{"max-parallel-hosts": 1})
    fleet.start()
    before = fleet.pids()
    asking = fleet.ci_popen("restart", "--graceful")
    wait_for(fleet.turns, "a host to take its turn")
    asking.kill()
    asking.wait(timeout=10)

    def all_rolled() -> bool:
        now = fleet.pids()
        return all(len(now[n]) == 2 and not set(before[n].values()) & set(now[n].values()) for n in before)

    wait_for(all_rolled, "all hosts to roll", within=60, every=0.5)


def test_kill_9_of_a_host_in_its_turn_lets_the_others_go_on(fleet: RealFleet) -> None:
    for name in SIX[:3]:
        fleet.host(name, {"media": pool(**{"healthy-after": "3s"})}, **{"max-parallel-hosts": 1})
    fleet.start()
    before = fleet.pids()
    asking = fleet.ci_popen("restart", "--graceful")
    taken = wait_for(fleet.turns, "a turn")
    dead = fleet.hosts[taken[0]]
    kill_daemon(dead)
    others = [name for name in before if name != taken[0]]
    wait_for(lambda: set(others) & set(fleet.turns()), "another to have its turn", within=60)
    dead.start()  # before it counts as missing: one more lease's term
    said, _ = asking.communicate(timeout=90)
    assert asking.returncode == 0, said
    assert rolled(fleet, taken[0], before)


def rolled(fleet: RealFleet, name: str, before: dict[str, dict[str, int]]) -> bool:
    now = fleet.hosts[name].pids("media")
    return len(now) == len(before[name]) and not set(before[name].values()) & set(now.values())


def test_a_host_that_does_not_come_back_fails_the_deploy(fleet: RealFleet) -> None:
    for name in SIX[:2]:
        fleet.host(name, {"media": pool(**{"healthy-after": "3s"})}, **{"max-parallel-hosts": 1})
    fleet.start()
    asking = fleet.ci_popen("restart", "--graceful")
    taken = wait_for(fleet.turns, "a turn")
    kill_daemon(fleet.hosts[taken[0]])
    said, _ = asking.communicate(timeout=120)
    assert asking.returncode == 1, said
    assert taken[0] in said


def test_p5_a_plain_incr_restarts_the_fleet_once(fleet: RealFleet) -> None:
    for name in SIX[:2]:
        fleet.host(name, {"media": pool()})
    fleet.start()
    before = fleet.pids()
    with fleet.server.connect() as client:
        client.incr(f"fleetd:{{{NAME}}}:restart-epoch")
    wait_for(lambda: all(rolled(fleet, name, before) for name in before), "the restart", within=30, every=0.3)
    after = fleet.pids()
    with fleet.server.connect() as client:
        client.flushall()
    wait_for(lambda: epoch_in(fleet) == "1", "the flushed key to be raised again")
    wait_for(lambda: len(fleet.status()["hosts"]) == 2, "both hosts to be members again")
    assert fleet.pids() == after


def epoch_in(fleet: RealFleet) -> str | None:
    with fleet.server.connect() as client:
        value = client.get(f"fleetd:{{{NAME}}}:restart-epoch")
        assert value is None or isinstance(value, str)
        return value


def test_p4_without_redis_everything_local_works(fleet: RealFleet) -> None:
    host = fleet.host("h1", {"media": pool()})
    fleet.server.stop()
    began = time.monotonic()
    host.start()
    assert time.monotonic() - began < 30
    assert host.status()["fleet"]["connected"] is False
    assert "its Redis is out of reach" in host.run("status").stdout
    before = host.pids("media")
    refused = fleet.ci("restart", "--graceful", code=4)
    assert len(refused.stderr.splitlines()) == 1
    host.run("restart", "--graceful", code=4)
    host.run("restart", "--graceful", "--local")
    assert not set(before.values()) & set(host.pids("media").values())
    fleet.server.start()
    wait_for(lambda: host.status()["fleet"]["connected"], "the fleet to be found")
    fleet.ci("restart", "--graceful")


def test_a_second_daemon_of_one_name_is_kept_out(fleet: RealFleet) -> None:
    first = fleet.host("h1", {"media": pool()})
    first.start()
    second = fleet.host("twin-of-h1", {"media": pool()})
    second.configure({"media": pool()}, fleet={**table(fleet, "h1")})
    second.start()
    assert len(second.pids("media")) == 2
    wait_for(lambda: second.status()["fleet"]["connected"], "an answer")
    assert second.status()["fleet"]["member"] is False
    assert "another daemon has this one's name" in second.run("status").stdout
    assert [host["pid"] for host in fleet.status()["hosts"]] == [first.status()["pid"]]
    assert "another daemon" in second.daemon_log()
    pids = second.pids("media")
    fleet.ci("restart", "--graceful")
    assert second.pids("media") == pids
    first.run("stop")
    wait_for(lambda: second.status()["fleet"]["member"], "the name to be free", within=30)


def test_a_daemon_that_was_killed_is_taken_in_at_once(fleet: RealFleet) -> None:
    host = fleet.host("h1", {"media": pool()})
    host.start()
    pids = host.pids("media")
    kill_daemon(host)
    host.start()
    wait_for(lambda: host.status()["fleet"]["member"], "it to be a member again")
    assert not host.events("fleet.name-taken"), "it had not to wait until its own lease was over"
    assert host.pids("media") == pids


def test_pause_and_resume_of_a_host(fleet: RealFleet) -> None:
    for name in SIX[:2]:
        fleet.host(name, {"media": pool()})
    fleet.start()
    fleet.ci("pause", "--host", "h1")
    assert fleet.pids()["h1"] == {}
    assert len(fleet.pids()["h2"]) == 2
    host = fleet.hosts["h1"]
    kill_daemon(host)
    fleet.server.stop()
    host.run("start", "--detach", "--no-wait")
    assert taking_jobs(host.pool("media")) == []
    fleet.server.start()
    wait_for(lambda: len(fleet.status()["hosts"]) == 2, "both to be members again")
    assert fleet.pids()["h1"] == {}
    fleet.ci("resume", "--host", "h1")
    assert len(fleet.pids()["h1"]) == 2


def test_no_live_member_in_scope(fleet: RealFleet) -> None:
    fleet.ci("restart", code=3)
    fleet.host("h1", {"media": pool()})
    fleet.start()
    fleet.ci("restart", "--host", "h9", code=3)
    fleet.ci("restart", "mail", code=3)
    with fleet.server.connect() as client:
        assert client.keys("*epoch*") == []


def test_narrowed_to_a_host_and_a_pool(fleet: RealFleet) -> None:
    for name in SIX[:2]:
        fleet.host(name, {"media": pool(), "mail": pool()})
    fleet.start()
    media, mail = fleet.pids("media"), fleet.pids("mail")
    fleet.ci("restart", "media", "--host", "h2")
    assert fleet.pids("mail") == mail
    assert fleet.pids("media")["h1"] == media["h1"]
    assert not set(fleet.pids("media")["h2"].values()) & set(media["h2"].values())


def test_a_time_out_names_the_stragglers(fleet: RealFleet) -> None:
    deaf = ["/bin/sh", "-c", 'trap "" TERM; while :; do sleep 0.1; done']
    fleet.host("h1", {"media": pool(command=deaf, **{"stop-timeout": "1h"})})
    fleet.start()
    pids = set(fleet.pids()["h1"].values())
    late = fleet.ci("restart", "--graceful", "--timeout", "9s", code=5)
    assert any(str(pid) in late.stderr for pid in pids), late.stderr
    assert "media:" in late.stderr


def test_passwords_appear_nowhere(short_path: Path, redis_server: RedisServer) -> None:
    secret = "hunter2-and-more"
    with redis_server.connect() as client:
        client.acl_setuser(
            "ops", enabled=True, passwords=[f"+{secret}"], keys=["*"], channels=["*"], commands=["+@all"]
        )
    url = f"redis://ops:{secret}@127.0.0.1:{redis_server.port}/0"
    with real_fleet(short_path, redis_server, url) as fleet:
        host = fleet.host("h1", {"media": pool()})
        fleet.start()
        said = [
            fleet.ci("restart", "--graceful"),
            fleet.ci("status", "--fleet"),
            fleet.ci("events", "--fleet", "--json"),
        ]
        with redis_server.connect() as client:
            client.acl_setuser("ops", enabled=True, reset_passwords=True, passwords=["+another"], reset=False)
            client.client_kill_filter(_type="normal", skipme=True)
        wait_for(lambda: not host.status()["fleet"]["connected"], "the daemon to be refused")
        said.append(fleet.ci("restart", "--graceful", code=4))
        said.append(fleet.ci("restart", "--redis", url, "--fleet", NAME, code=2))
        said += [host.run("status", "--json"), host.run("status"), host.run("events", "--json")]
        printed = "".join(done.stdout + done.stderr for done in said) + host.daemon_log()
        assert secret not in printed
        for process in host.processes():
            assert secret not in " ".join(process.info["cmdline"])
        state = written_below(host.directory / "state")
        assert state
        assert secret.encode() not in state


def written_below(folder: Path) -> bytes:
    """What stands in all files there; one that a running daemon renames meanwhile may be left out."""
    found = b""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found += path.read_bytes() if path.is_file() else b""
    return found


def test_sigstop_of_redis_holds_nothing_up(fleet: RealFleet) -> None:
    host = fleet.host("h1", {"media": pool()})
    fleet.start()
    assert fleet.server.process is not None
    os.kill(fleet.server.process.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: not host.status()["fleet"]["connected"], "the daemon to notice")
        began = time.monotonic()
        host.run("status")
        assert time.monotonic() - began < 10, "who waits for that Redis waits for ever"
        pid = next(iter(host.pids("media").values()))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(host.pids("media")) == 2 and pid not in host.pids("media").values(), "a replacement")
    finally:
        os.kill(fleet.server.process.pid, signal.SIGCONT)
    wait_for(lambda: host.status()["fleet"]["connected"], "the daemon to be back")


def test_a_restart_of_one_worker_does_not_undo_a_halt(fleet: RealFleet) -> None:
    (fleet.directory / "release").mkdir()
    release = str(fleet.directory / "release")
    host = fleet.host("h1", {"media": ready_shell(BROKEN, numprocs=2, directory=release)})
    fleet.start()
    before = host.pids("media")
    (fleet.directory / "release" / "broken").touch()
    fleet.ci("restart", code=1)
    (fleet.directory / "release" / "broken").unlink()
    refused = host.run("restart", "--local", "media:0", code=1)
    assert "a rollout is halted here" in refused.stderr
    assert host.pids("media") == before
    host.run("restart", "--local", "media")
    assert not set(host.pids("media").values()) & set(before.values())


def test_a_reload_cannot_move_a_daemon_to_another_fleet(fleet: RealFleet) -> None:
    host = fleet.host("h1", {"media": pool()})
    fleet.start()
    host.configure({"media": pool(numprocs=3)})
    host.run("reload")
    wait_for(lambda: len(host.pids("media")) == 3, "the third worker")
    assert "holds from the next start" in host.daemon_log()
    assert [member["host"] for member in fleet.status()["hosts"]] == ["h1"]
    fleet.ci("restart", "--graceful")
    host.configure({"media": pool(numprocs=3)}, fleet={**table(fleet, "h1"), "name": "another"})
    host.run("reload")
    assert host.status()["fleet"]["name"] == NAME
