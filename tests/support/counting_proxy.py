"""A TCP proxy that counts round trips: what one side says until it falls silent is one turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_SILENT = 0.1  # seconds without a byte, after which the client waits for the answer


@dataclass(slots=True)
class Turns:
    """What was seen so far."""

    port: int = 0
    connections: int = 0
    trips: int = 0
    bytes_answered: int = 0


@asynccontextmanager
async def counting_proxy(port: int) -> AsyncIterator[Turns]:
    """Nothing that the server says reaches a client before it falls silent: what it asks next is another turn."""
    turns = Turns()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turns.connections += 1
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while heard := await _until_silent(reader):
                turns.trips += 1
                server_writer.write(heard)
                answer = await _until_silent(server_reader)
                turns.bytes_answered += len(answer)
                writer.write(answer)
        finally:
            server_writer.close()
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    turns.port = server.sockets[0].getsockname()[1]
    try:
        yield turns
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_silent(reader: asyncio.StreamReader) -> bytes:
    """What comes until nothing more does; nothing: the end."""
    heard = await reader.read(1 << 20)
    while heard:
        try:
            more = await asyncio.wait_for(reader.read(1 << 20), _SILENT)
        except TimeoutError:
            break
        if not more:
            break
        heard += more
    return heard
