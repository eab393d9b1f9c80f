"""One GET of JSON by HTTP/1.0, in the loop: neither a thread nor a library, and ended when it is given up."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl

from fleetd.brokers.amqp.failures import PATIENCE
from fleetd.config.management_url import Site
from fleetd.errors import UnreachableError

_LARGEST = 8 << 20  # bytes of an answer
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,18}) *\r", re.IGNORECASE)
_TOO_MUCH = f"answers with more than {_LARGEST >> 20} MiB"
_ODD = "what answers there does not speak HTTP (or wants TLS: https://)"


async def get(of: Site, path: str, context: ssl.SSLContext | None) -> tuple[int, bytes]:
    """Status and body; raises TimeoutError after twice PATIENCE, UnreachableError, and the network's OSError."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(of.host, of.port, ssl=context)
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(_request(of, path))
            return await _answer(reader)
    finally:
        writer.transport.abort()


def _request(of: Site, path: str) -> bytes:
    login = base64.b64encode(f"{of.user}:{of.password}".encode())
    words = f"GET {of.path}{path} HTTP/1.0\r\nHost: {of.authority}\r\nAccept: application/json\r\n"
    return words.encode() + b"Authorization: Basic " + login + b"\r\n\r\n"


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise UnreachableError(_ODD) from None
    status = _STATUS.match(head)
    if status is None:
        raise UnreachableError(_ODD)
    length = _LENGTH.search(head)
    left = int(length[1]) if length else _LARGEST + 1  # without a length: until the connection is closed
    if length and left > _LARGEST:
        raise UnreachableError(_TOO_MUCH)
    pieces: list[bytes] = []
    while left > 0 and (piece := await reader.read(min(left, 1 << 16))):
        pieces.append(piece)
        left -= len(piece)
    if left == 0 and not length:
        raise UnreachableError(_TOO_MUCH)
    return int(status[1]), b"".join(pieces)
