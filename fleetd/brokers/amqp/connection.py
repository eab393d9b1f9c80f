"""One AMQP connection, by pika, in the daemon's loop: it needs no thread, and whoever waits may give up at any time."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from msgspec import Struct

from fleetd.brokers.amqp.failures import PATIENCE, LostError, refused, shown
from fleetd.config.amqp_url import AmqpUrl
from fleetd.errors import FleetdError, UnreachableError

# Seconds.  Pika sends and expects them in the loop, between reads too: what forwards the connection does not forget
# it, and one that was given up ends even if the other side is silent for good.
_HEARTBEAT = 30
_LONGEST = 255  # bytes of a name
_MISSING = frozenset({404, 405})  # not found; exclusive to a connection of its owner
_STRANGER = "what answers there is not RabbitMQ, is not up, or wants TLS (amqps://)"
# The words of pika's errors, which tell of others in their text only.
_REFUSED = re.compile(r"ConnectionClosedByBroker: \((\d+)\) ['\"](.*)['\"]", re.DOTALL)
_TLS = re.compile(r"SSL\w*Error\((?:.*\[SSL: (\w+)\])?")


class Size(Struct, frozen=True):
    """A queue as AMQP tells of it: messages that nobody has fetched, and consumers."""

    ready: int
    consumers: int


def login(url: AmqpUrl, context: ssl.SSLContext | None) -> Any:
    """What pika has to know to connect; imports it."""
    pika: Any = import_module("pika")  # by name, since it has no types
    logging.getLogger("pika").setLevel(logging.CRITICAL + 1)  # what it logs, with stacks, it raises as well
    return pika.ConnectionParameters(
        host=url.host,
        port=url.port,
        virtual_host=url.vhost,
        credentials=pika.PlainCredentials(url.user, url.password),
        ssl_options=None if context is None else pika.SSLOptions(context, url.host),
        socket_timeout=PATIENCE,
        stack_timeout=PATIENCE,
        heartbeat=_HEARTBEAT,
        client_properties={"product": "fleetd"},
    )


class Connection:
    """Calls raise UnreachableError, FleetdError, TimeoutError after PATIENCE, and OSError as the network has it.

    LostError, which is an UnreachableError, says that the connection was there and has ended.  One call at a time.
    """

    def __init__(self, parameters: Any) -> None:
        loop = asyncio.get_running_loop()
        self._vhost: str = parameters.virtual_host
        self._answer: asyncio.Future[Any] = loop.create_future()  # to what is being asked; at first: is it open?
        self._ended: asyncio.Future[None] = loop.create_future()
        self._channel: Any = None
        self._pika: Any = import_module("pika.exceptions")
        self._connection = import_module("pika.adapters.asyncio_connection").AsyncioConnection(
            parameters, self._begin, self._settle, self._end, custom_ioloop=loop
        )

    @classmethod
    async def open(cls, parameters: Any) -> Connection:
        """Connected and logged in."""
        connection = cls(parameters)
        try:
            async with asyncio.timeout(PATIENCE):
                await connection._answer
        except BaseException:
            connection._give_up()
            raise
        return connection

    @property
    def version(self) -> str | None:
        """RabbitMQ's."""
        told = (self._connection.server_properties or {}).get("version")
        return told if isinstance(told, str) else None

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, as far as this host was told."""
        return not self._connection.is_open

    async def sizes(self, queues: Iterable[str]) -> Mapping[str, Size | None]:
        """None: there is no such queue.  After any failure the connection is given up."""
        try:
            async with asyncio.timeout(PATIENCE):
                return {queue: await self._size(queue) for queue in queues}
        except BaseException:
            self._give_up()
            raise

    async def close(self) -> None:
        """End it, within PATIENCE."""
        self._give_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._ended

    def _give_up(self) -> None:
        """End it, and do not wait for that."""
        if self._connection.is_open:
            self._connection.close()

    async def _size(self, queue: str) -> Size | None:
        """By a declaration that declares nothing."""
        if len(queue.encode()) > _LONGEST or not {"\r", "\n"}.isdisjoint(queue):
            return None  # no queue has such a name: RabbitMQ takes the ends of lines out of it
        if self._channel is None or not self._channel.is_open:
            self._channel = await self._asked(lambda: self._connection.channel(on_open_callback=self._settle))
            self._channel.add_on_close_callback(self._settle)
        try:
            told = await self._asked(lambda: self._channel.queue_declare(queue, passive=True, callback=self._settle))
        except self._pika.ChannelClosedByBroker as error:  # a missing queue ends its channel
            if error.reply_code in _MISSING:
                return None
            raise FleetdError(f"the queue {queue} may not be looked at: {shown(error.reply_text)}") from None
        return Size(told.method.message_count, told.method.consumer_count)

    async def _asked(self, ask: Callable[[], object]) -> Any:
        self._answer = asyncio.get_running_loop().create_future()
        try:
            ask()
        except (self._pika.AMQPConnectionError, self._pika.ChannelWrongStateError) as error:
            self._answer.cancel()
            raise self._explained(error) from None
        return await self._answer

    def _settle(self, *told: Any) -> None:
        """What pika calls back with: itself, perhaps, and then the answer or what went wrong."""
        if self._answer.done():
            return
        if isinstance(told[-1], Exception):
            self._answer.set_exception(self._explained(told[-1]))
        else:
            self._answer.set_result(told[-1])

    def _begin(self, _: object) -> None:
        if self._answer.done():  # Too late; and pika 1.4 raises in the loop where it is told to close before this.
            self._give_up()
        else:
            self._settle(None)

    def _end(self, _: object, error: Exception) -> None:
        self._settle(error)
        if not self._ended.done():
            self._ended.set_result(None)

    def _explained(self, error: BaseException) -> BaseException:
        """An error of pika's as one of ours or the network's; a channel's own is for who asked on it."""
        cause = _cause(error)
        if isinstance(cause, (OSError, UnicodeError, self._pika.ChannelClosedByBroker)):
            return cause
        words = repr(cause) if isinstance(cause, self._pika.ConnectionClosed) else str(cause)
        if closed := _REFUSED.search(words):
            return refused(int(closed[1]), closed[2], self._vhost)
        if not isinstance(cause, self._pika.IncompatibleProtocolError):
            return LostError("the connection was closed")
        tls = _TLS.search(words)
        return UnreachableError(f"TLS failed ({tls[1] or 'closed'})" if tls else _STRANGER)


def _cause(error: BaseException) -> BaseException:
    """What pika has wrapped, once or more often; of several addresses the last one's."""
    told = [*getattr(error, "exceptions", ()), getattr(error, "exception", None), *error.args]
    wrapped = [each for each in told if isinstance(each, BaseException)]
    return _cause(wrapped[-1]) if wrapped else error
