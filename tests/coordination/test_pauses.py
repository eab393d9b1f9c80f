"""Pauses, and that they outlive the coordinator's memory."""

from __future__ import annotations

from tests.support.coordination import FleetUnderTest


def test_pauses_are_seen_by_all_until_they_are_lifted(fleet: FleetUnderTest) -> None:
    assert fleet.paused() == frozenset()
    fleet.pause("host:a", "pool:media")
    fleet.pause("host:a", "host:B.1:pool:mail")
    assert fleet.paused() == fleet.beat().paused == {"host:a", "pool:media", "host:B.1:pool:mail"}
    fleet.unpause("pool:media", "host:never")
    assert fleet.paused() == fleet.beat().paused == {"host:a", "host:B.1:pool:mail"}


def test_a_memory_that_goes_on_gets_nothing_back(fleet: FleetUnderTest) -> None:
    seen = fleet.beat()
    assert seen.incarnation
    assert fleet.beat("b/x", paused=("host:b",), incarnation="").paused == frozenset()
    assert fleet.beat(paused=("host:a",), incarnation=seen.incarnation).paused == frozenset()


def test_lost_pauses_are_set_again(fleet: FleetUnderTest) -> None:
    fleet.pause("host:a")
    seen = fleet.beat()
    fleet.world.flush()
    again = fleet.beat(paused=tuple(seen.paused), incarnation=seen.incarnation)
    assert again.paused == {"host:a"}
    assert again.incarnation == seen.incarnation
    fleet.unpause("host:a")
    late = fleet.beat("b/x", paused=("host:a",), incarnation=seen.incarnation)
    assert late.paused == frozenset(), "it was lifted since"


def test_a_newcomer_does_not_hide_that_they_were_lost(fleet: FleetUnderTest) -> None:
    fleet.pause("host:a")
    seen = fleet.beat()
    fleet.world.flush()
    new = fleet.beat("new/x")
    assert new.incarnation not in {"", seen.incarnation}
    again = fleet.beat(paused=tuple(seen.paused), incarnation=seen.incarnation)
    assert (again.paused, again.incarnation) == ({"host:a"}, new.incarnation)
