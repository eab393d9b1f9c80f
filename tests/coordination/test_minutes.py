"""The history of the fleet's jobs, by the minute."""

from __future__ import annotations

import pytest

from fleetd.coordination.port import KEPT_MINUTES, Row
from fleetd.core.minutes import minute_of
from tests.support.coordination import FleetUnderTest, RedisWorld

ENCODES = Row("media", "high", 3, 1, 2.5, 4, 0.75, 2)


@pytest.fixture
def now(fleet: FleetUnderTest) -> int:
    return minute_of(fleet.world.clock())


def test_what_all_members_told_is_summed_up(fleet: FleetUnderTest, now: int) -> None:
    nameless = Row("mail", None, 7)
    fleet.beat("a/x", life="1", minutes={now - 1: (ENCODES, nameless), now: (ENCODES,)})
    fleet.beat("b/x", life="1", minutes={now: (ENCODES, Row("media", "low queue", 1))})
    both = Row("media", "high", 6, 2, 5.0, 8, 1.5, 4)
    assert fleet.minutes(now - 5, now) == {
        now - 1: (nameless, ENCODES),
        now: (both, Row("media", "low queue", 1)),
    }
    assert fleet.minutes(now - 1, now - 1).keys() == {now - 1}


def test_what_is_told_again_counts_once_and_another_life_counts_beside_it(fleet: FleetUnderTest, now: int) -> None:
    for jobs in (1, 2, 2):
        fleet.beat("a/x", life="1", minutes={now: (Row("media", "high", jobs),)})
    fleet.beat("a/x", life="2", minutes={now: (Row("media", "high", 5),)})
    assert fleet.minutes(now, now) == {now: (Row("media", "high", 7),)}


def test_many_rows_and_minutes(fleet: FleetUnderTest, now: int) -> None:
    rows = tuple(Row("media", f"queue-{number:04}", number + 1) for number in range(1200))
    minutes = {now - number: rows[: number % 3 + 1] for number in range(35)}
    fleet.beat("a/x", life="1", minutes={now: rows} | {minute: minutes[minute] for minute in minutes if minute != now})
    found = fleet.minutes(now - 50, now)
    assert found.keys() == minutes.keys()
    assert found[now] == rows


def test_junk_among_the_minutes_is_left_out(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    now = minute_of(world.clock())
    on_redis.beat("a/x", life="1", minutes={now: (ENCODES,)})
    key = world.keys.minute(now)
    good = "a/x 1 media low"
    junk = {"": "[]", "a/x": "[1,2,3,4,5,6]", good: "x", f"{good}2": "[1]", "\x1b 1 media q": "[1,0,0,0,0,0]"}
    world.client.hset(key, mapping=junk)
    world.client.set(world.keys.minute(now - 1), "no hash")
    assert on_redis.minutes(now - 1, now) == {now: (ENCODES,)}
    on_redis.beat("a/x", life="1", minutes={now - 1: (ENCODES,), now: (Row("media", "high", 9),)})
    assert on_redis.minutes(now - 1, now) == {now: (Row("media", "high", 9),)}


def test_a_minute_is_kept_for_a_day(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    now = minute_of(world.clock())
    on_redis.beat("a/x", life="1", minutes={now: (ENCODES,)})
    ttl = world.client.ttl(world.keys.minute(now))
    assert 0 <= KEPT_MINUTES * 60 - int(ttl) <= 60
