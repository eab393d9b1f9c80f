"""Six hosts with jobs flowing on all of them, restarted by a CI machine: no job is interrupted, none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.job_log import SeenJobs
from tests.support.real_fleet import RealFleet, real_fleet
from tests.support.redis_server import RedisServer
from tests.support.rq_app import RqApp
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.timeout(300)]

AHEAD = 90  # jobs in the queue until the restart is over, however long that takes
SIX = tuple(f"h{number}" for number in range(1, 7))


@pytest.fixture
def fleet(short_path: Path, redis_server: RedisServer, rq: RqApp) -> Iterator[RealFleet]:
    directory = str(rq.releases.current)
    pool = {"framework": "rq", "directory": directory, "queues": ["default"], "env": dict(rq.environment)}
    with real_fleet(short_path, redis_server, redis_server.url) as hosts:
        for name in SIX:
            hosts.host(name, {"media": {**pool, "job-timeout": "1h"}}, **{"max-parallel-hosts": 2})
        yield hosts


def test_jobs_flow_while_the_fleet_is_restarted(fleet: RealFleet, rq: RqApp) -> None:
    fleet.start()
    rq.releases.deploy("2")
    jobs = rq.enqueue(AHEAD, seconds=0.3)
    wait_for(lambda: rq.jobs.ended().total() >= 12, "jobs to flow", within=60)
    rq.releases.switch("2")
    asking = fleet.ci_popen("restart", "--graceful", "--label", "release 2")

    def is_over() -> bool:
        jobs.update(rq.enqueue(max(0, AHEAD - rq.waiting()), seconds=0.3, first=len(jobs) + 1))
        return asking.poll() is not None

    wait_for(is_over, "the restart to be over, and jobs until then", within=200, every=0.2)
    assert asking.returncode == 0, asking.communicate()[0]
    assert fleet.most_at_once() <= 2
    restarted = rq.jobs.ended().total()
    assert restarted < len(jobs), "the restart was over before the jobs were, or it proves nothing"

    def all_ended(seen: SeenJobs) -> bool:
        """But for those that RQ itself forgets, which it fetches as it is told to end: rq/rq#2236."""
        return rq.waiting() == 0 and not seen.in_hand() and jobs - seen.ended().keys() <= rq.fetched()

    last = rq.jobs.at_rest(all_ended, "all jobs to end", within=120)
    forgotten = jobs - last.ended().keys()
    assert len(forgotten) <= len(SIX)
    assert last.count("started") == last.ended() == dict.fromkeys(jobs - forgotten, 1)
    assert last.interrupted() == {}
    assert {line.release for line in last.lines()} == {"1", "2"}
    epochs = {worker["epoch"] for host in fleet.status()["hosts"] for worker in host["pools"][0]["workers"]}
    assert epochs == {fleet.status()["epoch"]}
