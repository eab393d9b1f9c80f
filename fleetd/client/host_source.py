"""One daemon, seen through its control socket: what a live view shows of it, and what it may ask of it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from fleetd.client import host_acts
from fleetd.client.control import ControlClient
from fleetd.client.host_calls import beside
from fleetd.client.host_lines import worker_lines
from fleetd.client.streams import AGAIN, SilentError, items
from fleetd.errors import FleetdError, NotFoundError, UsageError
from fleetd.views.picture import Document, Picture, Request, Verb
from fleetd.views.picture_news import Listener

SILENCE = 5.0  # seconds without a sign of life: a daemon that is watched gives one each second
EVENTS = 200  # of the last ones that are told first
_REMEMBERED = 4000  # events; a daemon keeps fewer
_ENDED = "has ended"


def host_source(client: ControlClient) -> HostSource:
    """The daemon that `client` asks; it need not run yet, or any more."""
    return HostSource(client)


class HostSource:
    """See `fleetd.views.picture.Source`."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._measured: frozenset[str] = frozenset()
        self._asked_anew = asyncio.Event()

    @property
    def can(self) -> frozenset[Verb]:
        """All but what is for rollouts of a fleet."""
        return host_acts.CAN

    def measure(self, pools: frozenset[str]) -> None:
        """See the protocol."""
        if pools != self._measured:
            self._measured = pools
            self._asked_anew.set()

    async def act(self, request: Request) -> str:
        """See the protocol."""
        return await beside(host_acts.carry_out, self._client, request)

    async def lines(self, worker: str) -> AsyncGenerator[str]:
        """See the protocol."""
        async with aclosing(worker_lines(self._client, worker)) as lines:
            async for line in lines:
                yield line

    # -- pictures ------------------------------------------------------------------------------------------------------

    async def pictures(self) -> AsyncGenerator[Picture]:
        """See the protocol."""
        last = Picture(time.time())
        while True:
            why = _ENDED
            try:
                async with aclosing(self._documents()) as documents:
                    async for document in documents:
                        last = Picture(time.time(), (document,))
                        yield last
            except FleetdError as error:
                why = _why(error)
            if self._asked_anew.is_set():
                continue
            trouble = f"the daemon of {self._client.instance} {why}: looking for it again every second"
            yield Picture(last.seen_at, last.hosts, trouble=trouble)
            await asyncio.sleep(AGAIN)

    async def _documents(self) -> AsyncGenerator[Document]:
        """What the daemon tells until it ends, or other measures are wanted."""
        self._asked_anew.clear()
        listener, args = Listener(), {"measured": sorted(self._measured)}
        anew = asyncio.ensure_future(self._asked_anew.wait())
        try:
            async with aclosing(items(self._client, "watch", args, SILENCE)) as news:
                while (item := await _unless(anew, news)) is not None:
                    yield listener.hear(item)
        except UsageError:  # it is of a version that knows no such verb, and tells all each time
            while not self._asked_anew.is_set():
                yield await beside(self._client.call, "status", {"targets": []}, None, SILENCE)
                await asyncio.sleep(AGAIN)
        finally:
            anew.cancel()

    # -- events --------------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncGenerator[Document]:
        """See the protocol."""
        seen: OrderedDict[tuple[Any, ...], None] = OrderedDict()
        wanted = EVENTS
        while True:
            with suppress(FleetdError):  # the pictures say what is the matter
                async with aclosing(items(self._client, "events", {"follow": True, "n": wanted})) as events:
                    async for event in events:
                        key = event["at"], event["kind"], event.get("worker"), event["text"]
                        if key not in seen:
                            seen[key] = None
                            yield event
                        if len(seen) > _REMEMBERED:
                            seen.popitem(last=False)
            wanted = _REMEMBERED  # more may have happened meanwhile than is told first
            await asyncio.sleep(AGAIN)


def _why(error: FleetdError) -> str:
    match error:
        case SilentError():
            return "does not answer (stopped by a signal, or held up)"
        case NotFoundError():
            return "does not answer (killed or stopped)"
        case _:
            return f"does not say how it is ({error})"


async def _unless(anew: asyncio.Future[Any], news: AsyncGenerator[Any]) -> Any:
    """The next item; None where there is none, or `anew` came before it."""
    coming = asyncio.ensure_future(anext(news, None))
    try:
        await asyncio.wait({coming, anew}, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
