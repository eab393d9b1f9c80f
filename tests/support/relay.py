"""A TCP relay in the event loop of a test: a server that can be cut off and come back, or that speaks TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.ports import free_port


@dataclass(slots=True)
class Relay:
    """Forwards to `to` on loopback; works only while the loop runs."""

    to: int
    context: ssl.SSLContext | None = None
    port: int = field(default_factory=free_port)
    connections: int = 0  # that were made so far
    turns: int = 0  # how often the client spoke after the server had, or first
    answered: int = 0  # bytes
    is_silent: bool = False  # takes connections and what is said, and answers nothing
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port, ssl=self.context)

    async def cut(self) -> None:
        """End all connections and refuse others, until `start`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await asyncio.sleep(0)  # transports that were aborted close in the loop's next round

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        task.add_done_callback(lambda _: writer.transport.abort())  # also if it was cancelled before it began
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self.to)
        spoke_last = ["server"]
        ways = [
            asyncio.ensure_future(self._forward("client", reader, onward, spoke_last)),
            asyncio.ensure_future(self._forward("server", there, writer, spoke_last)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            onward.transport.abort()

    async def _forward(
        self, who: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoke_last: list[str]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if who == "server":
                    self.answered += len(data)
                elif spoke_last[-1] == "server":
                    self.turns += 1
                spoke_last[:] = [who]
                if not self.is_silent:
                    writer.write(data)


@asynccontextmanager
async def running_relay(to: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    relay = Relay(to, context)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.cut()
