"""One daemon as the source of a live view, asked over its control socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fleetd.client.control import ControlClient
from fleetd.errors import FleetdError
from fleetd.views.picture import Document, Picture, Request, Verb

_EVERY = 1.0  # seconds


class HostSource:
    """Pictures of a daemon once a second."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._last: tuple[Document, ...] = ()
        self._seen_at = 0.0

    @property
    def can(self) -> frozenset[Verb]:
        return frozenset(Verb) - {Verb.HALT, Verb.GO_ON}

    async def pictures(self) -> AsyncIterator[Picture]:
        while True:
            try:
                self._last = (await asyncio.to_thread(self._client.call, "status", {}, None, 5.0),)
                self._seen_at, trouble = time.time(), None
            except FleetdError as error:
                trouble = str(error)
            yield Picture(self._seen_at, self._last, trouble=trouble)
            await asyncio.sleep(_EVERY)

    async def events(self) -> AsyncIterator[Document]:
        seen = 0.0
        while True:
            try:
                found = await asyncio.to_thread(lambda: list(self._client.stream("events", {"n": 500})))
            except FleetdError:
                found = []
            for event in found:
                if event["at"] > seen:
                    seen = event["at"]
                    yield event
            await asyncio.sleep(_EVERY)

    async def lines(self, worker: str) -> AsyncIterator[str]:
        shown: list[str] = []
        while True:
            found = await asyncio.to_thread(self._client.call, "logs", {"targets": [worker]}, None, 5.0)
            lines = found["workers"][0]["lines"]
            for line in lines[len(shown) :] if lines[: len(shown)] == shown else lines:
                yield line
            shown = lines
            await asyncio.sleep(_EVERY)

    def measure(self, pools: frozenset[str]) -> None:
        """All are measured."""

    async def act(self, request: Request) -> str:
        verb = str(request.verb)
        args: Mapping[str, Any] = {"targets": list(request.targets)}
        if request.verb is Verb.RESTART_NOW:
            verb, args = "restart", {**args, "now": True}
        if request.verb is Verb.SCALE:
            change = request.change or "0"
            sign = change[0] if change[0] in "+-" else "="
            args = {"changes": [[request.targets[0], sign, int(change.lstrip("+-"))]]}
        await asyncio.to_thread(self._client.call, verb, args)
        return f"{request.verb} {' '.join(request.targets)}: done"


def host_source(client: ControlClient) -> HostSource:
    """The daemon that the client asks."""
    return HostSource(client)
