"""The real coordinator, which also counts its beats; and one that hears no hints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fleetd.coordination.port import Beat, Request, Rollout, Seen
from fleetd.coordination.redis.coordinator import RedisCoordinator


class CountingCoordinator(RedisCoordinator):
    """Counts beats, and those that published a document."""

    beats = 0
    published = 0

    async def beat(self, beat: Beat) -> Seen:
        self.beats += 1
        self.published += beat.status is not None
        return await super().beat(beat)


class TimingCoordinator(RedisCoordinator):
    """A requester's, which says when it asked last: `fleetd restart` looks at the members before."""

    asked_at = 0.0

    async def request(self, request: Request) -> Rollout | None:
        self.asked_at = time.monotonic()
        return await super().request(request)


class DeafCoordinator(CountingCoordinator):
    """The same without a connection for hints."""

    async def hints(self) -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""
