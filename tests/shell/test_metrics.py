"""metrics-listen with a host name, while nobody answers who that is."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from fleetd.shell.metrics import Metrics
from tests.support.ports import free_port

NAMED = "metrics.example"
NOBODY = cast("Any", None)  # a daemon, which nothing is asked about here


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set, it answers that every name is 127.0.0.1; until then it is away."""
    is_there, look_up = threading.Event(), socket.getaddrinfo

    def ask(host: str, port: int, *rest: Any, flags: int = 0, **more: Any) -> Any:
        if host != NAMED or flags & socket.AI_NUMERICHOST:
            return look_up(host, port, *rest, flags=flags, **more)
        assert is_there.wait(timeout=60)
        return look_up("127.0.0.1", port, *rest, flags=flags, **more)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    yield is_there
    is_there.set()


def within(seconds: float, work: Callable[[], Any]) -> None:
    """The whole of a loop's life, its end included."""
    began = time.monotonic()
    asyncio.run(work())
    assert time.monotonic() - began < seconds


def test_nothing_waits_for_a_name_server_that_is_away(name_server: threading.Event) -> None:
    async def followed_and_closed() -> None:
        metrics = Metrics(NOBODY)
        await metrics.follow(f"{NAMED}:{free_port()}")
        await metrics.close()

    within(30, followed_and_closed)
    assert not name_server.is_set()


def test_it_listens_once_the_name_is_known(name_server: threading.Event) -> None:
    port = free_port()

    async def served() -> None:
        metrics = Metrics(NOBODY)
        await metrics.follow(f"{NAMED}:{port}")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        name_server.set()
        assert b"200 OK" in await answered(port)
        await metrics.close()

    within(30, served)


def test_what_can_be_had_at_once_is_had_before_anybody_goes_on() -> None:
    first, second = free_port(), free_port()

    async def moved() -> None:
        metrics = Metrics(NOBODY)
        for port in (first, second):
            await metrics.follow(f"127.0.0.1:{port}")
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", first)
        await metrics.close()

    asyncio.run(moved())


async def answered(port: int) -> bytes:
    """What /healthz says, as soon as somebody listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
            continue
        writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
        said = await reader.read()
        writer.close()
        return said
