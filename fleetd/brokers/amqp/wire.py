"""An open AMQP connection: logged in, methods out and in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from fleetd.brokers.amqp import methods
from fleetd.brokers.amqp.failures import PATIENCE, LostError, nonsense, refused
from fleetd.brokers.amqp.methods import Method
from fleetd.config.amqp_url import AmqpUrl
from fleetd.errors import FleetdError, UnreachableError

_LARGEST = 1 << 20  # bytes of a frame; RabbitMQ's own limit is 128 KiB
_TCP = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),  # so often that what forwards the connection does not forget it
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PATIENCE * 1000)),
)
_STRANGER = "what answers there is not RabbitMQ, or wants TLS (amqps://)"


class Wire:
    """Calls raise UnreachableError, FleetdError for what makes no sense, and OSError as the network has it.

    LostError, which is an UnreachableError, says that the connection was there and has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, vhost: str) -> None:
        self._reader, self._writer, self._vhost = reader, writer, vhost
        self.channel_limit = 1
        self.version: str | None = None  # of RabbitMQ

    @classmethod
    async def open(cls, url: AmqpUrl, context: ssl.SSLContext | None) -> Wire:
        """Connected and logged in; TimeoutError after PATIENCE."""
        async with asyncio.timeout(PATIENCE):
            wire = cls(*await asyncio.open_connection(url.host, url.port, ssl=context), url.vhost)
            try:
                await wire._log_in(url)
            except BaseException:
                wire.abort()
                raise
            return wire

    async def _log_in(self, url: AmqpUrl) -> None:
        for option in _TCP:
            self._writer.get_extra_info("socket").setsockopt(*option)
        self.send(methods.HEADER)
        self.version = methods.version(await self._expect(methods.START))
        self.send(methods.log_in(url.user, url.password))
        tune = await self._expect(methods.TUNE)
        self.channel_limit = methods.channel_limit(tune)
        self.send(methods.tuned(tune), methods.open_vhost(url.vhost))
        await self._expect(methods.OPEN_OK)

    def send(self, *written: bytes) -> None:
        """Put methods on their way."""
        self._writer.write(b"".join(written))

    async def receive(self) -> Method:
        """The next method."""
        while True:
            method = await self._method()
            if method is not None and method.name == methods.CLOSE:
                raise self._ended(method)
            if method is not None:
                return method

    def _ended(self, closing: Method) -> FleetdError:
        self.send(methods.written(methods.CLOSE_OK))
        try:
            return refused(methods.refusal(closing), self._vhost)
        except ValueError:
            return nonsense()

    async def _method(self) -> Method | None:
        """None: a frame that is none, such as a heartbeat."""
        try:
            kind, channel, size = methods.frame_start(await self._reader.readexactly(methods.START_SIZE))
            if kind not in {methods.METHOD, methods.HEARTBEAT} or size > _LARGEST:
                raise UnreachableError(_STRANGER)
            rest = await self._reader.readexactly(size)
            return methods.read(channel, rest) if kind == methods.METHOD else None
        except asyncio.IncompleteReadError as error:
            raise LostError(_STRANGER if error.partial else "the connection was closed") from None
        except ConnectionError:
            raise LostError("the connection was closed") from None
        except ValueError:
            raise nonsense() from None

    async def _expect(self, name: int) -> Method:
        method = await self.receive()
        if method.name != name:
            raise nonsense()
        return method

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, as far as this host was told."""
        return self._reader.at_eof() or self._writer.is_closing()

    def abort(self) -> None:
        """End it at once; what is on its way is lost."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """End it as the server likes it, within PATIENCE."""
        with contextlib.suppress(FleetdError, OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                self.send(methods.close())
                while (await self.receive()).name != methods.CLOSE_OK:
                    pass
        self.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
