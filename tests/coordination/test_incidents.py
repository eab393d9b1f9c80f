"""Which member tells of an incident: one, whatever happens to it, and both ends once."""

from __future__ import annotations

import pytest

from fleetd.coordination.port import CLOSED, GATHER, HOLD, LEASE, Held, Shared, Told
from tests.support.coordination import FleetUnderTest, RedisWorld

KEY = "a1b2 crash-loop media"
DAY = 86_400.0


def says(fleet: FleetUnderTest, member: str = "a/x", told: str = "", *, held: bool = True, key: str = KEY) -> Shared:
    """What a member that tells of one incident is answered about it."""
    seen = fleet.beat(member, incidents=(Held(key, held, Told(told)),), has_alerts=True)
    return seen.incidents[key]


def left(fleet: FleetUnderTest, member: str) -> set[str]:
    """What a member hears of that has nothing to tell."""
    return set(fleet.beat(member, has_alerts=True).incidents)


def opened(fleet: FleetUnderTest, *members: str) -> None:
    """An incident that the first of the members has told."""
    for member in members:
        says(fleet, member)
    fleet.world.age_incidents(GATHER)
    assert says(fleet, members[0]).is_teller
    says(fleet, members[0], "opened")


def test_a_member_alone_tells_at_once(fleet: FleetUnderTest) -> None:
    assert says(fleet) == Shared(KEY, Told.NOTHING, is_teller=True, hosts=("a/x",))
    assert says(fleet, told="opened") == Shared(KEY, Told.OPENED, hosts=("a/x",))
    assert says(fleet, told="opened", held=False) == Shared(KEY, Told.OPENED, is_teller=True, hosts=("a/x",))
    assert says(fleet, told="recovered", held=False).is_closed


def test_one_of_several_tells_once_it_is_known_who_has_it(fleet: FleetUnderTest) -> None:
    fleet.beat("b/x")
    assert not says(fleet, "a/x").is_teller
    assert not says(fleet, "b/x").is_teller
    fleet.world.age_incidents(GATHER)
    assert says(fleet, "b/x") == Shared(KEY, Told.NOTHING, is_teller=True, hosts=("a/x", "b/x"))
    assert not says(fleet, "a/x").is_teller, "the other one does"
    assert says(fleet, "b/x", "opened").told is Told.OPENED
    assert says(fleet, "a/x") == Shared(KEY, Told.OPENED, hosts=("a/x", "b/x"))


def test_its_end_is_told_when_no_host_has_it_any_more(fleet: FleetUnderTest) -> None:
    opened(fleet, "a/x", "b/x")
    assert says(fleet, "a/x", "opened", held=False) == Shared(KEY, Told.OPENED, hosts=("b/x",))
    last = says(fleet, "b/x", "opened", held=False)
    assert last == Shared(KEY, Told.OPENED, is_teller=True, hosts=("a/x", "b/x")), "all that had it are named"
    assert not says(fleet, "a/x", "opened", held=False).is_teller
    assert says(fleet, "b/x", "recovered", held=False).is_closed
    assert says(fleet, "a/x", "opened", held=False).is_closed
    assert left(fleet, "c/x") == set()


def test_who_was_to_tell_and_dies_is_followed_by_another(fleet: FleetUnderTest) -> None:
    says(fleet, "a/x")
    says(fleet, "b/x")
    fleet.world.age_incidents(GATHER)
    assert says(fleet, "a/x").is_teller
    assert not says(fleet, "b/x").is_teller
    fleet.world.age_incidents(LEASE)
    assert says(fleet, "b/x").is_teller
    assert not says(fleet, "a/x").is_teller, "it is back, and comes too late"


def test_one_that_ended_before_it_was_told_is_told_all_the_same(fleet: FleetUnderTest) -> None:
    assert says(fleet, held=False).is_teller
    assert says(fleet, told="opened", held=False).is_teller
    assert says(fleet, told="recovered", held=False).is_closed


def test_a_new_one_soon_after_is_told_anew(fleet: FleetUnderTest) -> None:
    opened(fleet, "a/x")
    assert says(fleet, told="recovered", held=False).is_closed
    assert says(fleet, told="opened", held=False).is_closed, "it comes late"
    assert says(fleet) == Shared(KEY, Told.NOTHING, is_teller=True, hosts=("a/x",))


def test_a_host_that_is_gone_has_it_no_longer(fleet: FleetUnderTest) -> None:
    opened(fleet, "a/x", "b/x")
    assert not says(fleet, "b/x", "opened", held=False).is_teller
    fleet.world.age_incidents(HOLD)
    assert says(fleet, "b/x", "opened", held=False).is_teller


def test_what_hosts_that_are_gone_have_left_is_heard_by_others(fleet: FleetUnderTest) -> None:
    opened(fleet, "a/x")
    assert left(fleet, "b/x") == set()
    fleet.world.age_incidents(HOLD)
    assert fleet.beat("b/x").incidents == {}, "it has no alerts"
    found = fleet.beat("b/x", has_alerts=True).incidents
    assert found == {KEY: Shared(KEY, Told.OPENED, hosts=("a/x",))}
    assert says(fleet, "b/x", "opened", held=False) == Shared(KEY, Told.OPENED, is_teller=True, hosts=("a/x",))
    assert says(fleet, "b/x", "recovered", held=False).is_closed
    assert left(fleet, "c/x") == set()


def test_what_was_told_while_the_fleet_was_away_is_not_told_again(fleet: FleetUnderTest) -> None:
    assert says(fleet, "a/x", "opened") == Shared(KEY, Told.OPENED, hosts=("a/x",))
    assert says(fleet, "b/x").told is Told.OPENED
    assert says(fleet, "a/x", "recovered", held=False).is_closed
    assert says(fleet, "b/x", "opened", held=False).is_teller, "the last one that has it tells its end"
    assert says(fleet, "c/x", "recovered", held=False, key="a1b2 redis-lost -").is_closed, "nobody knows of it"


def test_a_memory_that_was_lost_is_told_again_by_nobody(fleet: FleetUnderTest) -> None:
    opened(fleet, "a/x", "b/x")
    fleet.world.flush()
    assert says(fleet, "b/x", "opened") == Shared(KEY, Told.OPENED, hosts=("b/x",))
    assert says(fleet, "a/x", "opened").hosts == ("a/x", "b/x")


def test_what_is_over_is_forgotten(fleet: FleetUnderTest) -> None:
    opened(fleet, "a/x")
    says(fleet, told="recovered", held=False)
    fleet.world.age_incidents(CLOSED)
    left(fleet, "b/x")
    assert says(fleet, told="opened", held=False).is_teller, "nobody knows that it was told"
    fleet.world.age_incidents(DAY + HOLD)
    assert left(fleet, "b/x") == set(), "nobody has told of it for a day"


def test_another_daemon_with_the_name_is_told_nothing(fleet: FleetUnderTest) -> None:
    opened(fleet, "a/x")
    seen = fleet.beat("a/x", id="another", incidents=(Held(KEY, is_held=False, told=Told.OPENED),))
    assert seen.held_by_other
    assert seen.incidents == {}
    assert not says(fleet, "a/x", "opened").is_teller


@pytest.mark.redis
def test_nothing_is_written_while_there_is_nothing_to_tell(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    on_redis.beat("a/x", has_alerts=True)
    assert world.keys.alerts not in world.all_keys()
    says(on_redis)
    assert world.client.type(world.keys.alerts) == "hash"


@pytest.mark.redis
@pytest.mark.parametrize("junk", ["", "junk", "[]", '{"hosts":{}}', '{"hosts":{"a/x":[]},"told":"","at":1}'])
def test_junk_among_them_is_passed_over(on_redis: FleetUnderTest, world: RedisWorld, junk: str) -> None:
    world.client.hset(world.keys.alerts, KEY, junk)
    world.client.hset(world.keys.alerts, "\x00 odd", junk)
    assert says(on_redis).is_teller
    assert left(on_redis, "b/x") == set()


@pytest.mark.redis
def test_where_the_key_is_of_another_type_each_member_tells(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    world.client.set(world.keys.alerts, "x")
    on_redis.beat("b/x")
    assert says(on_redis).is_teller
    assert says(on_redis, "b/x").is_teller
    assert says(on_redis, told="recovered", held=False).is_closed
