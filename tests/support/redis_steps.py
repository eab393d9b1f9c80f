"""Steps of tests that speak with Redis through fleetd's own connection."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from fleetd.coordination.redis.connection import LIMIT, Connection, Script
from fleetd.errors import FleetdError, UnreachableError

T = TypeVar("T")
KEY = "fleetd:{acme}:number"
CHANNEL = "fleetd:{acme}:wake"
SLACK = 3.0  # seconds that a busy machine may add to a limit: less than another call may take


def script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode()).hexdigest())


SET = script("return redis.call('SET', KEYS[1], ARGV[1]).ok")
GET = script("return redis.call('GET', KEYS[1])")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection that is closed at the end."""
    connection = Connection(url)
    try:
        yield connection
    finally:
        await connection.close()


async def failure(
    call: Awaitable[Any], kind: type[FleetdError] = UnreachableError, *, within: float = LIMIT + SLACK
) -> str:
    """The one line of a call that must fail, and does so in time."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        await call
    assert time.monotonic() - began < within
    assert caught.type is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def eventually(call: Callable[[], Awaitable[T]], *, within: float = 30.0) -> T:
    """The answer of the first call that is not UnreachableError."""
    deadline = time.monotonic() + within
    while True:
        try:
            return await call()
        except UnreachableError as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"still after {within:g} s: {error}") from error
            await asyncio.sleep(0.05)


async def replicated(connection: Connection, replicas: int, *, within: float = 30.0) -> None:
    """Waits until so many replicas have what was written by this connection."""
    deadline = time.monotonic() + within
    while await eventually(lambda: connection.command("WAIT", replicas, 500)) < replicas:
        assert time.monotonic() < deadline, "the replicas do not follow"


async def hear(connection: Connection, say: Callable[[], object], *, within: float = 30.0) -> str:
    """The first hint; `say` is repeated until there is one, for nobody knows when the subscription stands."""
    hints = connection.hints(CHANNEL)
    next_one = asyncio.ensure_future(anext(hints))
    deadline = time.monotonic() + within
    while not next_one.done():
        assert time.monotonic() < deadline, "heard nothing"
        say()
        await asyncio.wait([next_one], timeout=0.05)
    await hints.aclose()  # type: ignore[attr-defined]
    return next_one.result()
