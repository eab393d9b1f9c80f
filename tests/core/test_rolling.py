from __future__ import annotations

import pytest

from fleetd.core.decide import next_deadline
from tests.support.history import Host, pool_spec


@pytest.mark.parametrize("numprocs", [1, 2, 5, 8])
@pytest.mark.parametrize("surge", [1, 2, "50%", "100%"])
def test_rolling_keeps_every_worker_that_takes_jobs_and_doubles_the_processes_at_most(
    numprocs: int, surge: int | str
) -> None:
    host = Host({"m": pool_spec("m", {"numprocs": numprocs, "max-surge": surge, "stop-timeout": 3600})})
    host.play("0 files")
    host.play("5 restart m")
    pool = host.state.pools["m"]
    while (due := next_deadline(host.state)) is not None and due < 3000:
        host.play(f"{due} wait")
        assert sum(slot.takes_jobs for slot in pool.slots.values()) >= numprocs
        assert numprocs <= pool.alive <= 2 * numprocs
    assert pool.roll is not None
    assert not pool.roll.pending
    assert host.now <= 5 + numprocs
