from __future__ import annotations

from fleetd.core.queues import Depth
from fleetd.core.state import Moment
from fleetd.core.waits import wait_of
from tests.support.alert_world import AlertWorld, spec

NOW = Moment(1000.0, 1_790_001_000.0)


def test_the_wait_is_measured_or_worked_out_from_what_workers_do() -> None:
    world = AlertWorld(spec())
    pool = world.state.pools["media"]
    assert wait_of(pool, "q", NOW) is None
    pool.depths["q"] = Depth(ready=8)
    assert wait_of(pool, "q", NOW) is None, "nobody knows how long a job takes"
    pool.ledger.end("q", None, 3.0, NOW.mono - 120, failed=False)
    world.mend(10)
    wait = wait_of(pool, "q", NOW)
    assert wait is not None
    assert (wait.seconds, wait.source) == (8 * 3.0 / 2, "estimated")
    pool.depths["q"] = Depth(ready=8, oldest_at=NOW.unix - 50)
    wait = wait_of(pool, "q", NOW)
    assert wait is not None
    assert (wait.seconds, wait.source) == (50.0, "measured")
