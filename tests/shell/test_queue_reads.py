"""Reading queues beside everything else: when it ends, it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from fleetd.core.events import Event
from fleetd.core.queues import Depth, Place
from fleetd.core.spec import BrokerSpec, FleetSpec, Launch, PoolSpec
from fleetd.shell.queue_reads import QueueReads

PLACE = Place("q", ready=("q",))
FOLLOWED = FleetSpec(
    {"a": PoolSpec("a", Launch(("w",)), broker="x", places=(PLACE,))}, brokers={"x": BrokerSpec("x", "redis://h")}
)


class Deaf:
    """A broker that never answers, and loses a cancellation, as asyncio.wait_for of Python 3.11 may."""

    def __init__(self, begun: asyncio.Event) -> None:
        self.begun = begun
        self.is_closed = False

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        self.begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return dict.fromkeys(places, Depth(ready=0))
        return {}

    async def close(self) -> None:
        self.is_closed = True


async def begun() -> tuple[QueueReads, Deaf]:
    async def decided(event: Event) -> None:
        pass

    broker = Deaf(asyncio.Event())
    reads = QueueReads(decided, lambda spec: broker)
    reads.follow(FOLLOWED)
    await broker.begun.wait()
    return reads, broker


async def closed() -> Deaf:
    reads, broker = await begun()
    async with asyncio.timeout(5):
        await reads.close()
    return broker


async def left_out() -> Deaf:
    reads, broker = await begun()
    reads.follow(FleetSpec({}))
    async with asyncio.timeout(5):
        await reads.close()
    return broker


def test_reads_end_though_a_cancellation_is_lost() -> None:
    assert asyncio.run(closed()).is_closed


def test_reads_of_a_broker_end_that_is_no_longer_named() -> None:
    assert asyncio.run(left_out()).is_closed
