"""The sizes of queues over AMQP: one passive declaration each, all on their way at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from fleetd.brokers.amqp import methods
from fleetd.brokers.amqp.failures import PATIENCE, nonsense, shown
from fleetd.brokers.amqp.methods import Method, Size
from fleetd.brokers.amqp.wire import Wire
from fleetd.errors import FleetdError

_SHARED = 1  # the channel of the queues that were there last time
_ALONE = 100  # channels for the others, at once
_MISSING = frozenset({404, 405})  # not found; exclusive to a connection of its owner


class Declares:
    """Asks one connection.

    A queue that is missing ends its channel, and what was asked on it after that is not answered.  So queues share a
    channel only once they were seen; each other one has a channel to itself, and all is answered in one round trip.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._seen: set[str] = set()
        self._open: set[int] = set()

    async def sizes(self, queues: Iterable[str]) -> Mapping[str, Size | None]:
        """None: there is no such queue.  TimeoutError after PATIENCE; after any failure the connection is aborted."""
        sizes: dict[str, Size | None] = {}
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ask([queue for queue in queues if len(queue.encode()) <= methods.LONGEST], sizes)
        except BaseException:
            self.wire.abort()
            raise
        self._seen = {queue for queue, size in sizes.items() if size is not None}
        return sizes

    async def _ask(self, queues: Sequence[str], sizes: dict[str, Size | None]) -> None:
        shared = [queue for queue in queues if queue in self._seen]
        alone = [queue for queue in queues if queue not in self._seen]
        room = min(_ALONE, self.wire.channel_limit - _SHARED)
        if room < 1:
            shared, alone, room = [*shared, *alone], [], 1
        while shared or alone:
            lanes = {_SHARED + 1 + index: deque([queue]) for index, queue in enumerate(alone[:room])}
            alone = alone[room:]
            if shared:
                lanes[_SHARED] = deque(shared)
            await self._round(lanes, sizes)
            shared = list(lanes.get(_SHARED, ()))  # those behind one that was missing

    async def _round(self, lanes: Mapping[int, deque[str]], sizes: dict[str, Size | None]) -> None:
        """Ask for the queues of each channel; left in the lanes is what was not answered."""
        for channel, queues in lanes.items():
            opening = () if channel in self._open else (methods.open_channel(channel),)
            self._open.add(channel)
            self.wire.send(*opening, *(methods.ask_for(queue, channel) for queue in queues))
        waiting = set(lanes)
        while waiting:
            method = await self.wire.receive()
            self._answered(method, lanes[method.channel] if method.channel in waiting else deque(), sizes)
            waiting = {channel for channel in waiting & self._open if lanes[channel]}
        await self._close(self._open - {_SHARED})

    def _answered(self, method: Method, asked: deque[str], sizes: dict[str, Size | None]) -> None:
        try:
            if method.name == methods.DECLARED and asked:
                sizes[asked.popleft()] = methods.size(method)
            elif method.name == methods.CLOSE_CHANNEL and asked:
                self._refused(method, asked.popleft(), sizes)
            elif method.name != methods.CHANNEL_OPENED:
                raise nonsense()
        except ValueError:
            raise nonsense() from None

    def _refused(self, method: Method, queue: str, sizes: dict[str, Size | None]) -> None:
        refusal = methods.refusal(method)
        if refusal.code not in _MISSING:
            raise FleetdError(f"the queue {queue} may not be looked at: {shown(refusal.words)}")
        self._open.discard(method.channel)
        self.wire.send(methods.written(methods.CHANNEL_CLOSED, channel=method.channel))
        sizes[queue] = None

    async def _close(self, channels: set[int]) -> None:
        """Only after queues that are new."""
        self.wire.send(*map(methods.close_channel, channels))
        self._open -= channels
        while channels:
            method = await self.wire.receive()
            channels.discard(method.channel)
