"""A fleet whose Redis loses its memory, or gives way to another, in the middle of a rollout (P4, P5)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.fleetd_cli import Document
from tests.support.real_fleet import NAME, RealFleet, daemon_pid, real_fleet
from tests.support.redis_cluster import running_cluster
from tests.support.redis_sentinel import running_sentinels
from tests.support.redis_server import RedisServer
from tests.support.waiting import stays, wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.timeout(150)]

HOSTS = ("h1", "h2", "h3")
WORKER = ["/bin/sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done']
MEMBERS = f"fleetd:{{{NAME}}}:members"


def add_hosts(fleet: RealFleet) -> None:
    """Three hosts that roll one after the other."""
    media: Document = {"command": WORKER, "numprocs": 2, "healthy-after": "500ms"}
    for name in HOSTS:
        fleet.host(name, {"media": media}, **{"max-parallel-hosts": 1})
    fleet.start()


def in_the_middle(fleet: RealFleet) -> subprocess.Popen[str]:
    """A requester that waits while some host has its turn."""
    asking = fleet.ci_popen("restart", "--graceful", "--label", "v2")
    wait_for(fleet.turns, "a host to take its turn")
    return asking


def check_once(fleet: RealFleet, before: dict[str, dict[str, int]]) -> None:
    """Each worker was replaced just once, and it stays at that."""
    wanted = {name: [2, 2] for name in HOSTS}
    assert fleet.starts() == wanted
    stays(lambda: fleet.starts() == wanted, "no worker is replaced again", seconds=2.5, every=0.5)
    now = fleet.pids()
    assert all(not set(before[name].values()) & set(now[name].values()) for name in HOSTS)


def check_ended_well(fleet: RealFleet, asking: subprocess.Popen[str], before: dict[str, dict[str, int]]) -> None:
    said, _ = asking.communicate(timeout=90)
    assert asking.returncode == 0, said
    assert "6 workers" in said
    check_once(fleet, before)
    (epoch,) = {worker["epoch"] for workers in fleet.workers().values() for worker in workers}
    rollout = fleet.rollout(epoch)
    assert (rollout["state"], rollout["label"]) == ("done", "v2")


def test_flushall_in_the_middle(short_path: Path, redis_server: RedisServer) -> None:
    with real_fleet(short_path, redis_server, redis_server.url) as fleet:
        add_hosts(fleet)
        before = fleet.pids()
        asking = in_the_middle(fleet)
        with redis_server.connect() as client:
            client.flushall()
        check_ended_well(fleet, asking, before)


def test_killed_in_the_middle_and_started_empty(short_path: Path, redis_server: RedisServer) -> None:
    with real_fleet(short_path, redis_server, redis_server.url) as fleet:
        add_hosts(fleet)
        before = fleet.pids()
        asking = in_the_middle(fleet)
        redis_server.stop()
        first = fleet.hosts["h1"]
        wait_for(lambda: not first.status()["fleet"]["connected"], "a daemon to notice", every=0.2)
        redis_server.start()
        check_ended_well(fleet, asking, before)


def test_a_sentinel_failover_in_the_middle(short_path: Path) -> None:
    with running_sentinels() as sentinels, real_fleet(short_path, sentinels.master(), sentinels.url()) as fleet:
        add_hosts(fleet)
        before = fleet.pids()
        asking = in_the_middle(fleet)
        fleet.server = sentinels.failover()
        check_ended_well(fleet, asking, before)


def test_a_failover_to_a_replica_that_never_got_the_request(short_path: Path) -> None:
    """One member has seen the request and nobody waits for it any more: all the same each host does it, once."""
    with running_sentinels() as sentinels, real_fleet(short_path, sentinels.master(), sentinels.url()) as fleet:
        add_hosts(fleet)
        before = fleet.pids()
        master = sentinels.master()
        replicas = [server for server in sentinels.servers.values() if server is not master]
        daemons = {name: daemon_pid(fleet.hosts[name]) for name in HOSTS}
        with ExitStack() as asleep:
            with stopped(*map(server_pid, replicas)):
                with master.connect() as client:
                    client.client_kill_filter(_type="replica")  # or what is on its way would be read later
                asleep.enter_context(stopped(daemons["h2"], daemons["h3"]))
                fleet.ci("restart", "--graceful", "--label", "v2", "--no-wait")
                asleep.enter_context(stopped(daemons["h1"]))
                requested = epoch_at(master)
                assert requested is not None
                master.stop()
            assert [epoch_at(replica) for replica in replicas] == [None, None]
        fleet.server = sentinels.master_after(master)
        wait_for(lambda: all(starts == [2, 2] for starts in fleet.starts().values()), "the restart", every=0.5)
        check_once(fleet, before)
        assert {worker["epoch"] for workers in fleet.workers().values() for worker in workers} == {requested}
        wait_for(lambda: fleet.rollout(requested)["state"] == "done", "the rollout to be done", every=0.5)
        assert fleet.rollout(requested)["label"] == "v2"


def test_a_cluster_whose_master_is_killed_in_the_middle(short_path: Path) -> None:
    with running_cluster() as cluster, real_fleet(short_path, cluster.master_of(MEMBERS), cluster.url()) as fleet:
        add_hosts(fleet)
        before = fleet.pids()
        asking = in_the_middle(fleet)
        fleet.server = cluster.kill_master_of(MEMBERS)
        check_ended_well(fleet, asking, before)


def epoch_at(server: RedisServer) -> int | None:
    with server.connect() as client:
        found = client.get(f"fleetd:{{{NAME}}}:restart-epoch")
    return None if found is None else int(str(found))


def server_pid(server: RedisServer) -> int:
    assert server.process is not None
    return server.process.pid


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Meanwhile these processes are there and do nothing."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
