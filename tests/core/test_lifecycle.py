from __future__ import annotations

import pytest

from fleetd.core.events import Exited, JobReported, SaidReady, Spawned, SpawnFailed
from fleetd.core.lifecycle import TABLE
from fleetd.core.state import Phase
from tests.support.history import Host, pool_spec


@pytest.mark.parametrize(
    ("event", "phases"),
    [
        (Exited, set(Phase)),  # every exit is explained
        (Spawned, {Phase.SPAWNING}),
        (SpawnFailed, {Phase.SPAWNING}),
        (JobReported, set(Phase) - {Phase.SPAWNING}),  # also what was written before a kill
        (SaidReady, {Phase.STARTING}),
    ],
)
def test_in_which_phases_something_can_happen(event: type, phases: set[Phase]) -> None:
    assert {phase for phase, kind in TABLE if kind is event} == phases


def test_a_pair_that_is_not_in_the_table_changes_nothing() -> None:
    host = Host({"m": pool_spec("m", {"ready": "notify"})})
    for line in ("0 files", "1 ready m:0.1", "2 wait", "3 stop m"):
        host.play(line)
    before = host.final()
    assert host.play("4 ready m:0.1") == ""
    assert host.final() == before
