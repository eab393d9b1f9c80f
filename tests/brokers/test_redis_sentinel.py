"""Queues behind Sentinels: read through failovers, from who is the master."""

from __future__ import annotations

import asyncio
import time

import pytest

from fleetd.brokers.redis.broker import LIMIT, RedisBroker
from fleetd.core.queues import Depth
from fleetd.errors import UnreachableError
from tests.support.redis_queues import PAYLOADS
from tests.support.redis_sentinel import running_sentinels
from tests.support.redis_steps import SLACK, eventually

pytestmark = [pytest.mark.redis, pytest.mark.full]
PLACE = PAYLOADS.of("q")


def test_reads_go_on_through_failovers() -> None:
    async def steps() -> None:
        with running_sentinels() as sentinels:
            broker = RedisBroker(sentinels.url())
            with sentinels.master().connect() as client:
                client.rpush(PLACE.ready[0], *(f'{{"createdAt":{1795680682 + number}}}' for number in range(5)))
                client.execute_command("WAIT", 2, 5000)
            assert await until(broker, 5) == Depth(ready=5, delayed=0, due=0, reserved=0, oldest_at=1795680682)

            reads = asyncio.ensure_future(read_on(broker))
            new = await asyncio.to_thread(sentinels.failover)  # the master dies while it is being read
            with new.connect() as client:
                client.lpop(PLACE.ready[0])
                client.execute_command("WAIT", 1, 10_000)
            assert (await until(broker, 4)).oldest_at == 1795680683
            new = await asyncio.to_thread(sentinels.failover_by_hand)  # the old one lives, as a replica
            with new.connect() as client:
                client.lpop(PLACE.ready[0])
            assert (await until(broker, 3)).oldest_at == 1795680684
            reads.cancel()
            longest, seen = await reads
            await broker.close()
            assert longest < LIMIT + SLACK
            assert 5 in seen
            assert seen <= {5, 4, 3, None}  # None: out of reach; no other number was ever told

    asyncio.run(steps())


async def read_on(broker: RedisBroker) -> tuple[float, set[int | None]]:
    """Reads until it is cancelled: the longest time of a read, and all that was told."""
    longest, seen = 0.0, set[int | None]()
    try:
        while True:
            began = time.monotonic()
            try:
                seen.add((await broker.read([PLACE]))[PLACE].ready)
            except UnreachableError:
                seen.add(None)
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        return longest, seen


async def until(broker: RedisBroker, ready: int) -> Depth:
    """The first answer with so many ready jobs."""
    deadline = time.monotonic() + 30
    while True:
        depth = (await eventually(lambda: broker.read([PLACE])))[PLACE]
        if depth.ready == ready:
            return depth
        assert time.monotonic() < deadline, depth
        await asyncio.sleep(0.05)
