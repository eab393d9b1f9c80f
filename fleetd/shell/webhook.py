"""Posting to a webhook: one POST by HTTP/1.1 in the loop, without a library, and ended when time is up."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl

from fleetd import tls
from fleetd.brokers.threads import Threads
from fleetd.config.webhook_url import Target
from fleetd.core.spec import Seconds
from fleetd.errors import FleetdError

LIMIT: Seconds = 5.0
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")


class NotTakenError(FleetdError):
    """It was not taken; says why in one line, and nothing of the URL."""


async def post(target: Target, body: bytes, lookups: Threads, limit: Seconds = LIMIT) -> None:
    """Post a JSON document, within `limit` seconds; its host is looked up in one of the threads.

    Raises NotTakenError.
    """
    if target.is_tls:
        tls.make_available()
    try:
        async with asyncio.timeout(limit):
            context = await asyncio.to_thread(ssl.create_default_context) if target.is_tls else None
            status = await _posted(target, body, lookups, context)
    except TimeoutError:
        raise NotTakenError(f"no answer within {limit:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise NotTakenError(f"its certificate is not valid: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise NotTakenError(f"no TLS: {error.reason or 'it is not spoken there'}") from None
    except UnicodeError:  # an empty part of the name, or one of more than 63 characters
        raise NotTakenError("its host is no name that can be looked up") from None
    except OSError as error:
        raise NotTakenError(_why(error)) from None
    if status // 100 == 3:  # noqa: PLR2004 - a redirect, which may lead anywhere
        raise NotTakenError(f"it answers {status}: redirects are not followed")
    if status // 100 != 2:  # noqa: PLR2004 - success
        raise NotTakenError(f"it answers {status}")


def _why(error: OSError) -> str:
    """What went wrong, without addresses."""
    if isinstance(error, socket.gaierror):
        return "its host is not known"
    return os.strerror(error.errno).lower() if error.errno else "it cannot be reached"


async def _posted(target: Target, body: bytes, lookups: Threads, context: ssl.SSLContext | None) -> int:
    reader, writer = await _connected(target, lookups, context)
    try:
        writer.write(_head(target, len(body)) + body)
        await writer.drain()
        try:
            line = await reader.readline()
        except ValueError:  # longer than the reader bears
            line = b""
        status = _STATUS.match(line)
        if status is None:
            raise NotTakenError("what answers there does not speak HTTP (or wants TLS: https://)")
        return int(status[1])
    finally:
        writer.transport.abort()


async def _connected(
    target: Target, lookups: Threads, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """At the first of its addresses where somebody listens.

    A name server that hangs would hold up the loop's end, were it asked in one of the loop's own threads.
    """
    found = await lookups.run(lambda: socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
    name = None if context is None else target.host
    refused = OSError()
    for *_, address in found:
        try:
            return await asyncio.open_connection(str(address[0]), target.port, ssl=context, server_hostname=name)
        except ssl.SSLError:  # somebody listens
            raise
        except OSError as error:
            refused = error
    raise refused


def _head(target: Target, length: int) -> bytes:
    lines = (
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: fleetd",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")
