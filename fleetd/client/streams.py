"""Streams of a daemon's control socket in an event loop (the protocol: `fleetd.shell.control`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from fleetd.client.control import ControlClient, raised
from fleetd.errors import FleetdError, NotFoundError

AGAIN = 1.0  # seconds until a daemon that does not answer is looked for again
_LONGEST = 256 * 1024 * 1024  # bytes of one line: a daemon of the same user sends it


class SilentError(FleetdError):
    """The daemon has the connection, and says nothing."""


async def items(
    client: ControlClient, verb: str, args: Mapping[str, Any], silence: float | None = None
) -> AsyncGenerator[Any]:
    """The items of `verb`, as `ControlClient.stream`, until the daemon ends.

    Raises as that does, and SilentError where nothing comes for `silence` seconds.
    """
    reader, writer = await _connected(client)
    try:
        writer.write(json.dumps({"verb": verb, "args": args}).encode() + b"\n")
        while True:
            kind, body = await _frame(reader, client.instance, silence)
            if kind == "error":
                raise raised(body)
            if kind == "result":
                return
            if kind == "item":
                yield body
    finally:
        writer.transport.abort()


async def _connected(client: ControlClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_unix_connection(client.path, limit=_LONGEST)
    except PermissionError:
        raise FleetdError(
            f"not permitted to command instance {client.instance!r}: be root, its user, or in its socket-group"
        ) from None
    except OSError:
        raise NotFoundError(f"no daemon of instance {client.instance!r} answers at {client.path}") from None


async def _frame(reader: asyncio.StreamReader, instance: str, silence: float | None) -> tuple[str, Any]:
    line = b""
    try:
        async with asyncio.timeout(silence):
            with suppress(ConnectionError, ValueError):
                line = await reader.readline()
    except TimeoutError:
        raise SilentError(f"the daemon of {instance} has said nothing for {silence:g} s") from None
    if not line.endswith(b"\n"):
        raise NotFoundError(f"the daemon of {instance} is gone")
    try:
        ((kind, body),) = _decoded(line).items()
    except ValueError:
        raise FleetdError(f"the daemon of {instance} answers what is no frame; is it of another version?") from None
    return kind, body


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:  # texts that are no UTF-8 come as lone surrogates
        return json.loads(line)
