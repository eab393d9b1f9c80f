"""Many members of one fleet in this process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fleetd.coordination.redis.connection import Connection
from fleetd.shell.heartbeat import EVERY
from tests.bench.fleet_scale.counting import CountingCoordinator, DeafCoordinator, TimingCoordinator
from tests.bench.fleet_scale.host import SimulatedHost, spec_of

FLEET = "scale"


class Members:
    """The hosts, and a requester of their fleet with a connection of its own."""

    def __init__(
        self, hosts: list[SimulatedHost], coordinators: Sequence[CountingCoordinator], requester: TimingCoordinator
    ) -> None:
        self.hosts = hosts
        self._coordinators = coordinators
        self.requester = requester

    @property
    def beats(self) -> int:
        """Of all members so far."""
        return sum(each.beats for each in self._coordinators)

    @property
    def published(self) -> int:
        """Beats that published a document."""
        return sum(each.published for each in self._coordinators)

    @property
    def lost(self) -> int:
        """Beats that were not answered."""
        return sum(host.lost for host in self.hosts)

    @property
    def most_lost(self) -> int:
        """The same, of the member that has most."""
        return max(host.lost for host in self.hosts)

    def latencies(self, epoch: int, since: float) -> list[float]:
        """How long after `since` each member that knows the epoch knew it."""
        return [host.known[epoch] - since for host in self.hosts if epoch in host.known]

    async def until_known(self, epoch: int, *, within: float) -> None:
        """Wait until every member's core has the epoch."""
        deadline = time.monotonic() + within
        while len(self.latencies(epoch, 0)) < len(self.hosts):
            if time.monotonic() > deadline:
                missing = len(self.hosts) - len(self.latencies(epoch, 0))
                raise AssertionError(f"{missing} of {len(self.hosts)} members do not know {epoch} after {within:g} s")
            await asyncio.sleep(0.05)

    async def work(self) -> None:
        """Every worker of every host does a job every four seconds, until this is cancelled."""
        number = 0
        while True:
            number += 1
            pause = 4.0 / len(self.hosts)
            for host in self.hosts:
                host.work(number)
                await asyncio.sleep(pause)


@asynccontextmanager
async def joined(url: str, count: int, *, pools: int, workers: int, hears: bool = True) -> AsyncIterator[Members]:
    """So many members, once all of them have beaten and their workers are up."""
    requester = TimingCoordinator(Connection(url), FLEET)
    kind = CountingCoordinator if hears else DeafCoordinator
    coordinators = [kind(Connection(url), FLEET) for _ in range(count)]
    hosts = [
        SimulatedHost(spec_of(FLEET, f"worker-{number:05}", url, pools=pools, workers=workers), number, coordinator)
        for number, coordinator in enumerate(coordinators)
    ]

    async def start(host: SimulatedHost) -> None:
        await asyncio.sleep(random.uniform(0, EVERY))
        await host.begin()

    await asyncio.gather(*map(start, hosts))
    try:
        yield Members(hosts, coordinators, requester)
    finally:
        await asyncio.gather(*(host.close() for host in hosts))
        await requester.close()
