"""What a heartbeat publishes, and when: the document is a member's largest part of what goes to Redis."""

from __future__ import annotations

import pytest

from fleetd.core.events import FleetObserved
from fleetd.core.state import Moment
from fleetd.views.snapshot import Identity, Snapshot, snapshot
from tests.support.fleet_world import FleetWorld, Host
from tests.support.world import UNIX


@pytest.fixture
def fleet() -> FleetWorld:
    world = FleetWorld()
    world.add("h1", "h2")
    world.advance(20)
    return world


def test_a_look_at_a_fleet_that_is_as_it_was_changes_nothing(fleet: FleetWorld) -> None:
    before = picture(fleet["h1"])
    for _ in range(5):
        fleet["h1"].beat()
    assert picture(fleet["h1"]) == before


def picture(host: Host) -> Snapshot:
    """What is published, and compared with what was published last."""
    return snapshot(host.state, Moment(host.now, UNIX + host.now), Identity("app", host.name, 1, "0", 0.0), {})


@pytest.mark.parametrize("change", ["request", "pause", "cut", "healed", "name taken"])
def test_what_a_picture_shows_of_the_fleet_counts_as_a_change(fleet: FleetWorld, change: str) -> None:
    host = fleet["h1"]
    if change == "request":
        fleet.request()
    elif change == "pause":
        fleet.memory.paused.add("pool:media")
    elif change in {"cut", "healed"}:
        host.reachable = False
    if change == "healed":
        host.beat()
        host.reachable = True
    before = picture(host)
    if change == "name taken":
        host.step(FleetObserved(clock=0.0, epochs={}, rollouts=(), paused=frozenset(), held_by_other=True))
    else:
        host.beat()
    assert picture(host) != before
