"""Asking a broker from a test that has no loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fleetd.brokers.port import Broker
from fleetd.core.queues import Depth, Place


def depths_of(broker: Broker, places: Sequence[Place]) -> list[Depth]:
    """The depths of the places, in their order, from a broker that is closed afterwards."""

    async def whole() -> list[Depth]:
        try:
            found = await broker.read(places)
        finally:
            await broker.close()
        assert set(found) == set(places)
        return [found[place] for place in places]

    return asyncio.run(whole())
