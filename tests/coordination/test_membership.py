"""Who is a member, and what others see of it."""

from __future__ import annotations

from fleetd.core.spec import Amount
from tests.support.coordination import FleetUnderTest


def names(fleet: FleetUnderTest, *, live: bool = True) -> list[str]:
    return [member.name for member in fleet.members() if member.is_live or not live]


def test_a_beat_makes_a_member(fleet: FleetUnderTest) -> None:
    before = fleet.world.clock()
    seen = fleet.beat("b/x", pools=("media",), version="1.2", status=b'{"state":"running","pools":[]}')
    fleet.beat("A.1/x")
    assert before <= seen.clock <= fleet.world.clock()
    assert (seen.held_by_other, seen.needs_status, seen.has_turn, seen.rollouts) == (False, False, False, ())
    first, second = fleet.members()
    assert (first.name, second.name) == ("A.1/x", "b/x")
    assert (second.pools, second.version, second.protocol, second.is_live) == (("media",), "1.2", 1, True)
    assert second.status == {"state": "running", "pools": []}
    assert abs(second.last_seen - seen.clock) < 0.01


def test_a_document_that_is_not_renewed_stays(fleet: FleetUnderTest) -> None:
    fleet.beat(status=b'{"n":1}')
    assert not fleet.beat(status=None).needs_status
    assert fleet.members()[0].status == {"n": 1}


def test_a_document_that_is_gone_is_asked_for(fleet: FleetUnderTest) -> None:
    assert fleet.beat(status=None).needs_status
    assert fleet.members()[0].status is None
    assert not fleet.beat().needs_status
    fleet.world.expire("a/x")
    assert fleet.beat(status=None).needs_status


def test_a_name_is_held_by_one_id(fleet: FleetUnderTest) -> None:
    fleet.beat(pools=("media",), paused=())
    fleet.world.write_epoch("", "5")
    seen = fleet.beat(
        id="other", pools=("mail",), status=b'{"other":1}', epochs={"": 9}, events=(b'{"n":1}',), paused=("host:a",)
    )
    assert seen.held_by_other
    assert (seen.incarnation, seen.epochs, seen.paused) == ("", {}, frozenset())
    member = fleet.members()[0]
    assert (member.pools, member.status) == (("media",), {"state": "running"})
    assert fleet.world.read_epoch("") == "5"
    assert fleet.events() == []


def test_the_same_id_takes_its_name_over_at_once(fleet: FleetUnderTest) -> None:
    fleet.beat(version="1")
    assert not fleet.beat(version="2").held_by_other
    assert fleet.members()[0].version == "2"


def test_another_id_takes_over_when_the_lease_has_ended(fleet: FleetUnderTest) -> None:
    fleet.beat()
    fleet.world.expire("a/x")
    assert not fleet.beat(id="other").held_by_other
    assert fleet.beat().held_by_other


def test_a_member_that_is_silent_is_not_live_but_known(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    fleet.beat("b/x")
    fleet.world.expire("a/x")
    assert names(fleet) == ["b/x"]
    assert names(fleet, live=False) == ["a/x", "b/x"]
    assert fleet.members()[0].status is None


def test_a_member_that_leaves_is_gone(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x", max_parallel_hosts=Amount(1))
    rollout = fleet.request()
    assert fleet.report(rollout, "a/x", "waiting", wants=True).has_turn
    fleet.beat("b/x")
    fleet.leave("a/x")
    assert names(fleet, live=False) == ["b/x"]
    assert fleet.report(rollout, "b/x", "waiting", wants=True).has_turn


def test_one_that_has_not_the_name_ends_nothing(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    fleet.leave("a/x", "other")
    assert names(fleet) == ["a/x"]
    fleet.leave("c/x")
