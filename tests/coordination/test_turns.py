"""How many hosts roll at the same time."""

from __future__ import annotations

from fleetd.coordination.port import LEASE, HostProgress, HostState, Report, Rollout
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount
from tests.support.coordination import FleetUnderTest


def begun(fleet: FleetUnderTest, most: int, scope: Scope = Scope()) -> Rollout:  # noqa: B008 - frozen
    for member in ("a/x", "b/x", "c/x"):
        fleet.beat(member)
    return fleet.request(scope, most=most)


def wants(fleet: FleetUnderTest, member: str, *rollouts: Rollout) -> bool:
    """Whether the member that has workers to replace for these rollouts has its turn."""
    reports = {rollout.epoch: Report(rollout.intent, HostProgress(HostState.WAITING)) for rollout in rollouts}
    seen = fleet.beat(member, reports=reports, wants_turn=tuple(rollout.epoch for rollout in rollouts))
    return seen.has_turn


def test_at_most_so_many_have_a_turn_at_once(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 2)
    assert [wants(fleet, member, rollout) for member in ("a/x", "b/x", "c/x")] == [True, True, False]
    assert [wants(fleet, member, rollout) for member in ("c/x", "b/x", "a/x")] == [False, True, True]


def test_members_of_one_host_count_as_one(fleet: FleetUnderTest) -> None:
    for member in ("a/x", "a/y", "b/x", "b/y"):
        fleet.beat(member, max_parallel_hosts=Amount(share=0.5))
    rollout = fleet.request()
    assert rollout.max_parallel_hosts == 1
    assert wants(fleet, "a/x", rollout)
    assert not wants(fleet, "b/x", rollout)
    assert wants(fleet, "a/y", rollout)
    assert not wants(fleet, "b/y", rollout)
    fleet.beat("a/x")
    assert not wants(fleet, "b/x", rollout), "a/y still rolls"
    fleet.beat("a/y")
    assert [wants(fleet, member, rollout) for member in ("b/x", "a/x", "b/y")] == [True, False, True]


def test_a_limit_of_two_is_two_hosts(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 2)
    assert [wants(fleet, member, rollout) for member in ("a/x", "a/y", "b/x")] == [True, True, True]
    assert [wants(fleet, member, rollout) for member in ("c/x", "b/y")] == [False, True]


def test_a_turn_is_given_back(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 1)
    assert wants(fleet, "a/x", rollout)
    assert not fleet.report(rollout, "a/x", "done").has_turn
    assert wants(fleet, "b/x", rollout)
    assert not wants(fleet, "a/x", rollout)


def test_a_turn_ends_with_its_lease(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 1)
    assert wants(fleet, "a/x", rollout)
    fleet.world.expire("a/x")
    assert wants(fleet, "b/x", rollout)
    assert not wants(fleet, "a/x", rollout)


def test_a_member_without_stale_workers_takes_no_turn(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 1)
    assert not fleet.beat("a/x").has_turn
    assert wants(fleet, "b/x", rollout)


def test_the_field_says_until_when(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 1)
    seen = fleet.report(rollout, "a/x", "rolling", wants=True)
    until = seen.rollouts[0].hosts["a/x"].lease_until
    assert until is not None
    assert abs(until - (seen.clock + LEASE)) < 0.01
    assert fleet.rollouts()[0].hosts["a/x"].lease_until == until
    assert fleet.report(rollout, "b/x", "waiting", wants=True).rollouts[0].hosts["b/x"].lease_until is None
    assert fleet.report(rollout, "a/x", "done").rollouts[0].hosts["a/x"].lease_until is None
    assert fleet.report(rollout, "a/x", "done", lease_until=5.0).rollouts[0].hosts["a/x"].lease_until is None


def test_nobody_takes_a_turn_while_it_is_halted(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 2)
    assert wants(fleet, "a/x", rollout)
    fleet.halt(rollout.epoch)
    assert not wants(fleet, "b/x", rollout)
    assert not wants(fleet, "a/x", rollout)
    fleet.resume(rollout.epoch)
    assert wants(fleet, "b/x", rollout)


def test_a_host_that_fails_has_no_turn_any_more(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 1)
    assert wants(fleet, "a/x", rollout)
    assert not fleet.report(rollout, "a/x", "halted", wants=True).has_turn


def test_unknown_and_superseded_rollouts_give_no_turn(fleet: FleetUnderTest) -> None:
    first = begun(fleet, 1)
    second = fleet.request(most=1)
    assert not wants(fleet, "a/x", first)
    assert not fleet.beat("a/x", wants_turn=(4711,)).has_turn
    assert wants(fleet, "a/x", first, second)


def test_rollouts_share_the_turns(fleet: FleetUnderTest) -> None:
    strict = begun(fleet, 1, Scope(pools=("media",)))
    lenient = fleet.request(Scope(pools=("mail",)), most=2)
    assert wants(fleet, "a/x", lenient)
    assert not wants(fleet, "b/x", strict), "another host rolls"
    assert not wants(fleet, "b/x", strict, lenient), "each of them must allow it"
    assert wants(fleet, "b/x", lenient)
    fleet.halt(strict.epoch)
    fleet.beat("b/x")
    assert wants(fleet, "b/x", strict, lenient), "the halted one does not count"


def test_a_turn_is_kept_while_one_of_the_rollouts_runs(fleet: FleetUnderTest) -> None:
    first = begun(fleet, 1, Scope(pools=("media",)))
    second = fleet.request(Scope(pools=("mail",)), most=1)
    assert wants(fleet, "a/x", first, second)
    fleet.halt(first.epoch)
    assert wants(fleet, "a/x", first, second)
    fleet.halt(second.epoch)
    assert not wants(fleet, "a/x", first, second)
    third = fleet.request(Scope(hosts=("b",)), most=1)
    assert wants(fleet, "b/x", third), "it was given back"


def test_a_repeated_beat_takes_no_second_turn(fleet: FleetUnderTest) -> None:
    rollout = begun(fleet, 2)
    assert all(wants(fleet, "a/x", rollout) for _ in range(3))
    assert wants(fleet, "b/x", rollout)
