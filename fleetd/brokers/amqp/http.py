"""One GET of JSON by HTTP/1.0, in the loop: neither a thread nor a library, and ended when it is given up."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from fleetd.brokers.amqp.failures import PATIENCE
from fleetd.errors import UnreachableError, UsageError

_LARGEST = 8 << 20  # bytes of an answer
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
_PLAIN = re.compile("[!-~]+")
_WANTED = "the URL of RabbitMQ's management API: write http://HOST:15672 or https://HOST:15671"
_ODD = "what answers there does not speak HTTP (or wants TLS: https://)"


class Site(Struct, frozen=True):
    """Where an API is, and who asks it; shows neither user nor password."""

    host: str
    port: int
    path: str  # of all that is asked; without a / at the end
    user: str
    password: str
    is_tls: bool

    def __str__(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.authority}{self.path}"

    def __repr__(self) -> str:
        return f"Site({str(self)!r})"

    @property
    def authority(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def site(url: str, user: str, password: str) -> Site:
    """What a URL names; user and password are for one that names none.  Raises UsageError."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise UsageError(_WANTED) from None
    odd = parts.query or parts.fragment or "@" in parts.path or not _PLAIN.fullmatch(url)
    if parts.scheme not in {"http", "https"} or not host or odd:
        raise UsageError(_WANTED)
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
    is_tls = parts.scheme == "https"
    return Site(host, port or (443 if is_tls else 80), parts.path.rstrip("/"), user, password, is_tls)


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
    pieces: list[bytes] = []
    size = 0
    while piece := await reader.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST:
            raise UnreachableError(f"answers with more than {_LARGEST >> 20} MiB")
    return int(status[1]), b"".join(pieces)
