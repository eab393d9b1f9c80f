"""A fleet as the source of a live view, read from its Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fleetd.client.fleet_events import fleet_events
from fleetd.client.rollout_document import rollout_document
from fleetd.coordination.port import Coordinator
from fleetd.errors import FleetdError
from fleetd.views.picture import Document, Picture, Request, Verb

_EVERY = 1.0  # seconds


class FleetSource:
    """Pictures of a fleet once a second."""

    def __init__(self, coordinator: Coordinator, name: str) -> None:
        self._coordinator, self._name = coordinator, name

    @property
    def can(self) -> frozenset[Verb]:
        """Restarts and pauses."""
        return frozenset({Verb.RESTART, Verb.RESTART_NOW, Verb.PAUSE, Verb.RESUME, Verb.HALT, Verb.GO_ON})

    async def pictures(self) -> AsyncIterator[Picture]:
        """As the port has it."""
        picture = Picture(0.0, fleet=self._name)
        while True:
            try:
                members, rollouts = await self._coordinator.members(), await self._coordinator.rollouts()
                hosts = tuple(
                    {**(m.status or {}), "name": m.name, "last_seen": m.last_seen, "live": m.is_live} for m in members
                )
                picture = Picture(time.time(), hosts, self._name, tuple(map(rollout_document, rollouts[:5])))
                yield picture
            except FleetdError as error:
                yield Picture(picture.seen_at, picture.hosts, self._name, picture.rollouts, str(error))
            await asyncio.sleep(_EVERY)

    async def events(self) -> AsyncIterator[Document]:
        """As the port has it."""
        async for event in fleet_events(self._coordinator, 500, follow=True, tell=lambda _: None):
            yield event

    async def lines(self, worker: str) -> AsyncIterator[str]:
        """None from afar."""
        raise FleetdError(f"{worker}: its output is on its host: `fleetd logs` there")
        yield ""

    def measure(self, pools: frozenset[str]) -> None:
        """Nothing to be had."""

    async def act(self, request: Request) -> str:
        """Not yet."""
        raise FleetdError(f"{request.verb}: not yet")


def fleet_source(coordinator: Coordinator, name: str) -> FleetSource:
    """The fleet that meets there."""
    return FleetSource(coordinator, name)
