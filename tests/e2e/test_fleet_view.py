"""The live view of a fleet, on a terminal: two real daemons, and a Redis that goes and comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleetd_cli import Document
from tests.support.live_view import LiveView, live_view
from tests.support.real_fleet import RealFleet, real_fleet
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_pools import stubborn

pytestmark = [pytest.mark.process, pytest.mark.redis]

HOSTS = ("media-1", "media-2")


@pytest.fixture
def fleet(short_path: Path, redis_server: RedisServer) -> Iterator[RealFleet]:
    """Two hosts, each with a worker that ends when there is a file `leave-PID`."""
    with real_fleet(short_path, redis_server, redis_server.url) as hosts:
        for name in HOSTS:
            hosts.host(name, {"media": stubborn(str(short_path))}, **{"max-parallel-hosts": 1})
        hosts.start()
        yield hosts
        (short_path / "leave").touch()


@pytest.fixture
def live(fleet: RealFleet) -> Iterator[LiveView]:
    """The view of a machine that has no daemon."""
    with live_view("status", "--fleet", environment=fleet._environment(), columns=120) as view:
        view.until(lambda shown: all(name in shown for name in HOSTS), "both hosts")
        yield view


def newest(fleet: RealFleet) -> Document:
    """The newest rollout, asked of the CI machine."""
    rollout: Document = json.loads(fleet.ci("rollouts", "--json").stdout)["rollouts"][0]
    return rollout


def is_done_where_workers_end(fleet: RealFleet) -> bool:
    """Whether the newest rollout is; what drains ends."""
    for worker in (worker for workers in fleet.workers().values() for worker in workers):
        if worker["state"] == "stopping":
            (fleet.directory / f"leave-{worker['pid']}").touch()
    return bool(newest(fleet)["state"] == "done")


def test_a_rollout_is_asked_for_on_all_hosts_halted_and_gone_on_with(fleet: RealFleet, live: LiveView) -> None:
    before = fleet.pids()
    live.press("R")
    live.sees("Restart all pools on media-1 NOW, losing jobs in hand?")
    live.press("a")  # is no answer: what loses jobs on all hosts is an upper-case key
    asked = len(live.written)
    live.press("n")
    live.wrote("nothing was done", after=asked)
    live.press("r")
    live.sees("A on all hosts (2 workers)")
    live.press("A")
    live.sees("restart of everything asked for")
    epoch = newest(fleet)["epoch"]
    live.sees(f"rollout {epoch} running")
    live.press("H")
    live.sees(f"HALT rollout {epoch} on every host?")
    live.press("y")
    live.sees(f"rollout {epoch} halted: no further worker is replaced")
    live.sees("halted by")
    assert newest(fleet)["state"] == "halted"
    live.press("o")
    live.sees(f"Go on with rollout {epoch}?")
    live.press("y")
    live.sees(f"rollout {epoch} goes on")
    wait_for(lambda: is_done_where_workers_end(fleet), "the rollout to be done", within=30, every=0.3)
    assert all(fleet.pids()[name]["media:0"] not in before[name].values() for name in HOSTS)


def test_what_was_seen_last_stays_until_redis_is_back(fleet: RealFleet, live: LiveView) -> None:
    fleet.server.stop()
    shown = live.sees("Redis out of reach")
    assert all(name in shown for name in HOSTS)
    fleet.server.start()
    live.until(lambda shown: "✓ Redis" in shown and "2 hosts live" in shown, "both hosts again", within=30)
    live.press("q")
    assert live.ended() == (0, None)
    live.assert_left_clean()
