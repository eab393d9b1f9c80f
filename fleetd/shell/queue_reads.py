"""Reading the queues: one task for each broker that a pool names, beside everything else.

A broker is read as often as its spec says; what it tells, or that it is out of reach, comes to the core as an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from fleetd.coordination.cancelling import ended
from fleetd.core.events import Event, QueuesRead
from fleetd.core.queues import Place
from fleetd.core.spec import BrokerSpec, FleetSpec
from fleetd.errors import FleetdError, UnreachableError

if TYPE_CHECKING:
    from fleetd.brokers.port import Broker

# Seconds for a read and an end, beyond each broker's own limits: those interrupt what they started, this only lets go.
LIMIT, CLOSE_WITHIN = 8.0, 3.0
AGAIN = 2.0  # seconds after a first read that failed


class _Reading(Struct, frozen=True):
    """What is read in one broker: the places of each pool."""

    broker: BrokerSpec
    pools: Mapping[str, tuple[Place, ...]]


class QueueReads:
    """Keeps the core told of the queues; `decide_about` hands it an event, `opening` opens a broker."""

    def __init__(
        self, decide_about: Callable[[Event], Awaitable[None]], opening: Callable[[BrokerSpec], Broker] | None = None
    ) -> None:
        self._decide_about = decide_about
        self._opening = opening or _open
        self._tasks: dict[str, tuple[_Reading, asyncio.Task[None]]] = {}
        self._endings = set[asyncio.Task[None]]()

    def follow(self, spec: FleetSpec) -> None:
        """Read what these pool files name, from now on."""
        wanted = readings(spec)
        for name in [name for name, (reading, _) in self._tasks.items() if wanted.get(name) != reading]:
            ending = asyncio.create_task(ended([self._tasks.pop(name)[1]]))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
        for name, reading in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = reading, asyncio.create_task(self._read(reading))

    async def close(self) -> None:
        """Read no more."""
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        await ended(tasks)
        await asyncio.gather(*self._endings)

    async def _read(self, reading: _Reading) -> None:
        broker: Broker | None = None
        is_first = True
        try:
            while True:
                broker, told = await self._attempt(reading, broker)
                waits = is_first and told.error is not None  # it may be starting, too
                if not waits:
                    await self._decide_about(told)
                await asyncio.sleep(min(AGAIN, reading.broker.every) if waits else reading.broker.every)
                is_first = False
        finally:
            if broker is not None:
                with suppress(TimeoutError, FleetdError):
                    async with asyncio.timeout(CLOSE_WITHIN):
                        await broker.close()

    async def _attempt(self, reading: _Reading, broker: Broker | None) -> tuple[Broker | None, QueuesRead]:
        """The broker, once it could be opened, and what came of a read."""
        try:
            broker = broker or self._opening(reading.broker)
            return broker, await _told(reading, broker)
        except FleetdError as error:
            return broker, QueuesRead(reading.broker.name, error=str(error))
        except Exception as defect:  # noqa: BLE001 - reported, and no reason not to read again
            report = {"message": f"broker {reading.broker.name} could not be read", "exception": defect}
            asyncio.get_running_loop().call_exception_handler(report)
            return broker, QueuesRead(reading.broker.name, error="internal error, see the daemon's log")


def _open(spec: BrokerSpec) -> Broker:
    from fleetd.brokers.opening import open_broker  # noqa: PLC0415 - a daemon without brokers does without

    return open_broker(spec)


async def _told(reading: _Reading, broker: Broker) -> QueuesRead:
    """What a read tells.  Raises FleetdError."""
    places = tuple({place: None for each in reading.pools.values() for place in each})
    try:
        async with asyncio.timeout(LIMIT):
            depths = await broker.read(places)
    except TimeoutError:
        raise UnreachableError(f"no answer within {LIMIT:g} s") from None
    by_pool = {pool: {place.queue: depths[place] for place in each} for pool, each in reading.pools.items()}
    return QueuesRead(reading.broker.name, by_pool)


def readings(spec: FleetSpec) -> dict[str, _Reading]:
    """What there is to read, by broker."""
    pools: dict[str, dict[str, tuple[Place, ...]]] = {}
    for pool in spec.pools.values():
        if pool.broker is not None and pool.places:
            pools.setdefault(pool.broker, {})[pool.name] = pool.places
    return {name: _Reading(spec.brokers[name], places) for name, places in pools.items()}
