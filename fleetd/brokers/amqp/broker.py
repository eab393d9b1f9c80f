"""A RabbitMQ behind the Broker port: by the management API where its URL is given, else, or beside it, over AMQP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from fleetd.brokers.amqp.absent import Absent
from fleetd.brokers.amqp.connection import Connection, Size, login
from fleetd.brokers.amqp.failures import PATIENCE, LostError, told
from fleetd.brokers.amqp.management import Management, Queue, Settings
from fleetd.config.amqp_url import AmqpUrl
from fleetd.core.queues import UNKNOWN, Depth, Place


class Known(Struct, frozen=True):
    """What is known of a queue that is there; None: it was not told."""

    ready: int
    unacknowledged: int | None = None
    consumers: int | None = None


class RabbitMQ:
    """One vhost; keeps one connection between two reads, and opens another when that has ended."""

    def __init__(self, url: AmqpUrl, context: ssl.SSLContext | None, management: Management | None) -> None:
        self._url, self._login = url, login(url, context)
        self._management = management
        self._was_told = False  # by the management API
        self._absent = Absent()
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        """See Broker."""
        names = list(dict.fromkeys(name for place in places for name in (*place.ready, *place.delayed)))
        async with self._turn:
            known = await self._known(names) if names else {}
        return {place: depth(place, known) for place in places}

    async def close(self) -> None:
        """See Broker."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def version(self) -> str | None:
        """RabbitMQ's, as it says when one logs in."""
        with told(self._url):
            return (await self._connected()).version

    async def settings(self, queues: Sequence[str]) -> list[Settings]:
        """What arguments and policies say of those of the queues that are there; nothing without the management API."""
        if self._management is None or not queues:
            return []
        with told(self._management.site):
            return await self._management.settings(queues)

    async def _known(self, names: Sequence[str]) -> Mapping[str, Known]:
        queues = await self._by_management(names)
        if queues is None:
            queues = {name: Queue(name) for name in names}
        left = [name for name, queue in queues.items() if not queue.is_complete]
        sizes = await self._by_amqp(left) if left else {}
        return {
            name: Known(queue.messages_ready or 0, queue.messages_unacknowledged, queue.consumers)
            for name, queue in queues.items()
            if queue.is_complete
        } | {
            name: Known(size.ready, queues[name].messages_unacknowledged, size.consumers)
            for name, size in sizes.items()
            if size is not None
        }

    async def _by_management(self, names: Sequence[str]) -> Mapping[str, Queue] | None:
        """The queues that are there; None: it is not asked, or does not answer any more."""
        if self._management is None:
            return None
        with told(self._management.site):
            try:
                queues = await self._management.queues(names)
            except OSError:  # TimeoutError, too
                # It may be down while the broker is not; but one that never answered is a mistake in the pool file.
                if not self._was_told:
                    raise
                return None
        self._was_told = True
        return queues

    async def _by_amqp(self, names: Sequence[str]) -> Mapping[str, Size | None]:
        now = asyncio.get_running_loop().time()
        asked = self._absent.due(names, now)
        if not asked:
            return {}
        with told(self._url):
            async with asyncio.timeout(2 * PATIENCE):
                sizes = await self._sizes(asked)
        self._absent.note(asked, {name for name in asked if sizes.get(name) is None}, now)
        return sizes

    async def _sizes(self, names: Iterable[str]) -> Mapping[str, Size | None]:
        is_old = self._connection is not None
        try:
            return await (await self._connected()).sizes(names)
        except LostError:
            # Ended since the last read, as a restart of the server or a forwarder's time limit does.
            if not is_old:
                raise
            return await (await self._connected()).sizes(names)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed:
            self._connection = None
            self._connection = await Connection.open(self._login)
        return self._connection


def depth(place: Place, known: Mapping[str, Known]) -> Depth:
    """The figures of a place, by those of its queues."""
    ready = [known[name] for name in place.ready if name in known]
    if not ready:
        return UNKNOWN
    return Depth(
        ready=sum(queue.ready for queue in ready),
        delayed=_total(_delayed(known[name]) for name in place.delayed if name in known),
        reserved=_total(queue.unacknowledged for queue in ready),
        consumers=max((queue.consumers for queue in ready if queue.consumers is not None), default=None),
    )


def _delayed(queue: Known) -> int | None:
    """All that a delay queue holds: workers that take from it keep, unacknowledged, what is not due yet."""
    if queue.unacknowledged is None and queue.consumers:
        return None
    return queue.ready + (queue.unacknowledged or 0)


def _total(figures: Iterable[int | None]) -> int | None:
    """The sum; None where there is nothing to add, or one is not known."""
    counted = list(figures)
    numbers = [figure for figure in counted if figure is not None]
    return sum(numbers) if numbers and len(numbers) == len(counted) else None
