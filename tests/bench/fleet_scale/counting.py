"""The real coordinator, which also counts its beats; and one that hears no hints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fleetd.coordination.port import Beat, Seen
from fleetd.coordination.redis.coordinator import RedisCoordinator


class CountingCoordinator(RedisCoordinator):
    """Counts beats, and those that published a document."""

    beats = 0
    published = 0

    async def beat(self, beat: Beat) -> Seen:
        self.beats += 1
        self.published += beat.status is not None
        return await super().beat(beat)


class DeafCoordinator(CountingCoordinator):
    """The same without a connection for hints."""

    async def hints(self) -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""
