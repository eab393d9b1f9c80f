"""How a heartbeat ends: always, and soon."""

from __future__ import annotations

import asyncio
import time

from fleetd.coordination.local import LocalCoordinator
from fleetd.coordination.local_fleet import LocalFleet
from fleetd.coordination.port import Beat, Seen
from tests.bench.fleet_scale.host import SimulatedHost, spec_of


class LosesACancellation(LocalCoordinator):
    """As asyncio.wait_for may before Python 3.12, when what it waited for is done at the same time."""

    def __init__(self, fleet: LocalFleet) -> None:
        super().__init__(fleet)
        self.asked = asyncio.Event()
        self.lost = 0

    async def beat(self, beat: Beat) -> Seen:
        self.asked.set()
        if not self.lost:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.lost += 1
        return await super().beat(beat)


async def lose_one() -> int:
    coordinator = LosesACancellation(LocalFleet(time.time))
    host = SimulatedHost(spec_of("acme", "h1", "redis://nowhere", pools=1, workers=1), 1, coordinator)
    beginning = asyncio.create_task(host.begin())
    await coordinator.asked.wait()
    async with asyncio.timeout(30):
        await host.close()
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    return coordinator.lost


def test_a_cancellation_that_is_lost_is_repeated() -> None:
    assert asyncio.run(lose_one()) == 1
