"""Reading queues beside everything else: when it ends, it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from fleetd.brokers.redis.broker import LIMIT as REDIS_LIMIT
from fleetd.brokers.sql.driver import ANSWER_WITHIN, CONNECT_WITHIN
from fleetd.core.events import Event, QueuesRead
from fleetd.core.queues import Depth, Place
from fleetd.core.spec import BrokerSpec, FleetSpec, Launch, PoolSpec
from fleetd.errors import UsageError
from fleetd.shell import queue_reads
from fleetd.shell.queue_reads import QueueReads

Opening = Callable[[BrokerSpec], Any]
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
    async with asyncio.timeout(30):
        await reads.close()
    return broker


async def left_out() -> Deaf:
    reads, broker = await begun()
    reads.follow(FleetSpec({}))
    async with asyncio.timeout(30):
        await reads.close()
    return broker


def test_reads_end_though_a_cancellation_is_lost() -> None:
    assert asyncio.run(closed()).is_closed


def test_reads_of_a_broker_end_that_is_no_longer_named() -> None:
    assert asyncio.run(left_out()).is_closed


class Faulty:
    """A broker with a defect."""

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        raise LookupError("a defect")

    async def close(self) -> None:
        pass


def unusable(spec: BrokerSpec) -> Faulty:
    raise UsageError(f"[broker.{spec.name}] url: makes no sense")


@pytest.mark.parametrize(
    ("opening", "told"),
    [(unusable, "[broker.x] url: makes no sense"), (lambda _: Faulty(), "internal error, see the daemon's log")],
)
def test_whatever_goes_wrong_is_told_and_ends_nothing(opening: Opening, told: str) -> None:
    async def first() -> tuple[Event, bool]:
        events: asyncio.Queue[Event] = asyncio.Queue()
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        reads = QueueReads(events.put, opening)
        reads.follow(FOLLOWED)
        event = await asyncio.wait_for(events.get(), 30)
        goes_on = not any(task.done() for _, task in reads._tasks.values())
        await reads.close()
        return event, goes_on

    assert asyncio.run(first()) == (QueuesRead("x", error=told), True)


def test_brokers_give_up_before_they_are_given_up() -> None:
    """They interrupt what they have begun; whoever only stops waiting for them does not."""
    assert max(REDIS_LIMIT, CONNECT_WITHIN + ANSWER_WITHIN + 1) + 1 < queue_reads.LIMIT
