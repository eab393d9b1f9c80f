"""A fleet, once in memory and once on a real Redis: what one promises the other does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.coordination import FleetUnderTest, RedisWorld, local_fleet, redis_fleet


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def fleet(request: pytest.FixtureRequest) -> Iterator[FleetUnderTest]:
    if request.param == "local":
        with local_fleet() as found:
            yield found
    else:
        with redis_fleet(request.getfixturevalue("shared_redis")) as found:
            yield found


@pytest.fixture
def on_redis(request: pytest.FixtureRequest) -> Iterator[FleetUnderTest]:
    with redis_fleet(request.getfixturevalue("shared_redis")) as found:
        yield found


@pytest.fixture
def world(on_redis: FleetUnderTest) -> RedisWorld:
    assert isinstance(on_redis.world, RedisWorld)
    return on_redis.world
