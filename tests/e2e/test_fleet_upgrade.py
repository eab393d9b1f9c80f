"""A member of a fleet that replaces itself stays a member, and its part of a restart is one restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.real_fleet import NAME, RealFleet, real_fleet
from tests.support.redis_server import RedisServer
from tests.support.waiting import stays, wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.timeout(240)]

WORKER = ["/bin/sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done']


@pytest.fixture
def fleet(short_path: Path, redis_server: RedisServer) -> Iterator[RealFleet]:
    with real_fleet(short_path, redis_server, redis_server.url) as hosts:
        yield hosts


def test_a_member_stays_one_and_every_event_arrives_once(fleet: RealFleet) -> None:
    pool = {"command": WORKER, "numprocs": 2, "healthy-after": "200ms"}
    one, two = fleet.host("one", {"media": pool}), fleet.host("two", {"media": pool})
    fleet.start()
    before = fleet.pids()
    with fleet.server.connect() as client:
        members = f"fleetd:{{{NAME}}}:members"
        for _ in range(2):
            upgrade = one.popen("upgrade")
            stays(lambda: client.zcard(members) == 2, "its membership", seconds=1.0)
            assert upgrade.communicate(timeout=60)
            assert client.zcard(members) == 2
            assert upgrade.returncode == 0
    assert fleet.pids() == before

    def started() -> Counter[str]:
        return Counter(event["host"] for event in fleet.events() if event["kind"] == "daemon.started")

    wait_for(lambda: started().total() >= 4, "what was told last to arrive", every=0.3)
    assert started() == {"one": 3, "two": 1}
    events = fleet.events()
    assert max(Counter(event["id"] for event in events).values()) == 1
    assert not [event for event in events if event["kind"] == "fleet.name-taken"]

    restart = fleet.ci_popen("restart", "--label", "v2")
    one.run("upgrade")
    two.run("upgrade")
    said, _ = restart.communicate(timeout=100)
    assert restart.returncode == 0, said
    after = fleet.pids()
    assert not {pid for host in before.values() for pid in host.values()} & {
        pid for host in after.values() for pid in host.values()
    }
    (epoch,) = {worker["epoch"] for host in fleet.status()["hosts"] for worker in host["pools"][0]["workers"]}
    rollout = fleet.rollout(epoch)
    assert (rollout["state"], rollout["label"]) == ("done", "v2")
