"""The small HTTP server, asked by clients that mean well, err, or mean ill."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fleetd.shell import http_server
from fleetd.shell.http_server import LARGEST_REQUEST, MOST_CONNECTIONS, Answer, Asked, HttpServer
from tests.support.process_world import eventually
from tests.support.requirement import need

BODY = b"42\n"
LARGE = 32 * 1024 * 1024  # bytes: more than two sockets hold


def answer(asked: Asked) -> Answer:
    if asked.path == "/defect":
        raise ZeroDivisionError
    if asked.path == "/large":
        return Answer(b"x" * LARGE)
    return Answer(BODY, kind="text/plain; " + asked.accept) if asked.path == "/metrics" else Answer(asked.path.encode())


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[int]:
    server = HttpServer(answer)
    url = await server.open("127.0.0.1:0")
    try:
        yield int(url.rstrip("/").rpartition(":")[2])
    finally:
        await server.close()


async def ask(port: int, request: bytes, *, then_end: bool = False) -> bytes:
    """All that is answered until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    if then_end:
        writer.write_eof()
    answered = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answered


def asked(*requests: bytes, then_end: bool = False) -> list[bytes]:
    async def all_of_them() -> list[bytes]:
        async with listening() as port:
            return [await ask(port, request, then_end=then_end) for request in requests]

    return asyncio.run(all_of_them())


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(http_server, "WITHIN", 0.3)
    monkeypatch.setattr(http_server, "LINGER", 0.2)
    return


def status(answered: bytes) -> int:
    return int(answered.split()[1]) if answered else 0


def body(answered: bytes) -> bytes:
    return answered.partition(b"\r\n\r\n")[2]


def test_get_is_answered_with_a_length_and_the_connection_ends() -> None:
    (answered,) = asked(b"GET /metrics?name[]=up HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\naccept: c/d\r\n\r\n")
    head = answered.partition(b"\r\n\r\n")[0]
    assert (status(answered), body(answered)) == (200, BODY)
    assert b"Content-Length: 3\r\n" in head
    assert b"Content-Type: text/plain; a/b, c/d\r\n" in head
    assert b"Connection: close" in head


def test_head_has_the_length_and_no_body() -> None:
    (answered,) = asked(b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert status(answered) == 200
    assert b"Content-Length: 3\r\n" in answered
    assert body(answered) == b""


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET /metrics HTTP/1.0", 200),
        (b"GET http://host:9808/metrics HTTP/1.1", 200),
        (b"GET //metrics HTTP/1.1", 200),
        (b"POST /metrics HTTP/1.1", 405),
        (b"DELETE / HTTP/1.1", 405),
        (b"PRI * HTTP/2.0", 505),
        (b"GET /metrics", 400),
        (b"GET  /metrics HTTP/1.1", 400),
        (b"get /metrics HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET /metrics HTTP/1.1\r\nno header", 400),
        (b"GET /metrics HTTP/1.1\r\n folded: x", 400),
        (b"GET /metrics HTTP/1.1\r\nA: b\x00c", 400),
        (b"GET /metrics HTTP/1.1\r\nA: b\nc: d", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS
    ],
)
def test_what_is_no_request_is_refused(request_line: bytes, expected: int) -> None:
    (answered,) = asked(request_line + b"\r\n\r\n")
    assert status(answered) == expected
    assert (b"\r\nAllow: GET, HEAD\r\n" in answered) == (expected == 405)


def test_half_a_request_is_refused_and_a_mere_look_is_not_answered() -> None:
    assert [status(each) for each in asked(b"GET /metrics HT", then_end=True)] == [400]
    assert asked(b"", then_end=True) == [b""]


def test_a_request_has_a_size() -> None:
    fits = b"GET /metrics HTTP/1.1\r\nA: " + b"x" * (LARGEST_REQUEST - 100) + b"\r\n\r\n"
    large = b"GET /metrics HTTP/1.1\r\nA: " + b"x" * (3 * LARGEST_REQUEST) + b"\r\n\r\n"
    endless = b"GET /" + b"x" * (8 * LARGEST_REQUEST)
    assert [status(each) for each in asked(fits, large, endless)] == [200, 431, 431]


def test_one_request_a_connection_and_what_follows_is_thrown_away() -> None:
    one = b"GET /metrics HTTP/1.1\r\n\r\n"
    with_body = b"GET /metrics HTTP/1.1\r\nContent-Length: 30000\r\n\r\n" + b"z" * 30000
    for answered in asked(one * 50, with_body):
        assert answered.count(b"HTTP/1.1") == 1
        assert body(answered) == BODY


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("drip", [False, True], ids=["says nothing", "slowloris"])
def test_a_request_has_a_time(drip: bool) -> None:
    async def slow() -> tuple[bytes, float]:
        async with listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            answered = asyncio.create_task(reader.read())
            writer.write(b"GET /metrics HTTP/1.1\r\n")
            while drip and not answered.done():
                writer.write(b"A: b\r\n")
                await asyncio.wait([answered], timeout=0.02)
            got = await answered
            writer.close()
            return got, time.monotonic() - began

    answered, took = asyncio.run(slow())
    assert status(answered) == 408
    assert took < 20


@pytest.mark.usefixtures("hurried")
def test_one_that_does_not_take_its_answer_is_hung_up_on() -> None:
    async def stuck() -> bool:
        async with listening() as port:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /large HTTP/1.1\r\n\r\n")
                await eventually(lambda: len(asyncio.all_tasks()) == 2, "the connection to be served")
                await eventually(lambda: len(asyncio.all_tasks()) == 1, "the server to let go")
                taken = 0
                with contextlib.suppress(ConnectionResetError):
                    client.setblocking(False)
                    while chunk := await asyncio.get_running_loop().sock_recv(client, 65536):
                        taken += len(chunk)
                return taken < LARGE

    assert asyncio.run(stuck())


def test_who_connects_and_asks_nothing_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "WITHIN", 60.0)  # however long it takes to ask so often

    async def crowd() -> list[bytes]:
        async with listening() as port:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
            silent[0][1].write(b"GET /metrics HTTP/1.1\r\n")  # half a request is none
            await eventually(lambda: len(asyncio.all_tasks()) == 1 + MOST_CONNECTIONS, "all to be accepted")
            answered = [await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")]
            for _, writer in silent[1:]:  # all but the oldest
                writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
            for reader, writer in silent:
                answered.append(await reader.read())
                writer.close()
            return answered

    assert [status(each) for each in asyncio.run(crowd())] == [200, 503, *[200] * (MOST_CONNECTIONS - 1)]


def test_connections_have_a_number_and_the_rest_is_told_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MOST_CONNECTIONS", 3)

    async def crowd() -> tuple[list[bytes], bytes]:
        async with listening() as port:
            being_answered = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            for reader, writer in being_answered:
                writer.write(b"GET /large HTTP/1.1\r\n\r\n")
                assert await reader.read(8) == b"HTTP/1.1"
            refused = [await ask(port, b"") for _ in range(3)]
            for _, writer in being_answered:
                writer.transport.abort()
            await eventually(lambda: len(asyncio.all_tasks()) == 1, "all to be gone")
            return refused, await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")

    refused, later = asyncio.run(crowd())
    assert [status(each) for each in refused] == [503] * 3
    assert status(later) == 200


def test_a_client_that_resets_the_connection_is_no_defect() -> None:
    async def reset() -> list[Any]:
        defects: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: defects.append(context))
        async with listening() as port:
            for request in (b"", b"GET /lar", b"GET /large HTTP/1.1\r\n\r\n"):
                client = socket.create_connection(("127.0.0.1", port))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.sendall(request)
                await eventually(lambda: len(asyncio.all_tasks()) == 2, "the connection to be served")
                client.close()
                await eventually(lambda: len(asyncio.all_tasks()) == 1, "the server to let go")
        return defects

    assert asyncio.run(reset()) == []


def test_a_defect_is_reported_and_the_server_goes_on() -> None:
    async def defective() -> tuple[list[Any], list[int]]:
        defects: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: defects.append(context["exception"]))
        async with listening() as port:
            answered = [await ask(port, f"GET {path} HTTP/1.1\r\n\r\n".encode()) for path in ("/defect", "/metrics")]
            assert b"ZeroDivision" not in answered[0]
            return defects, [status(each) for each in answered]

    defects, answered = asyncio.run(defective())
    assert [type(each) for each in defects] == [ZeroDivisionError]
    assert answered == [500, 200]


def test_closing_hangs_up_on_everybody_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "WITHIN", 60.0)
    monkeypatch.setattr(http_server, "LINGER", 60.0)

    async def closed() -> tuple[bytes, float]:
        async with listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await eventually(lambda: len(asyncio.all_tasks()) == 2, "the connection to be served")
            began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        return b"", time.monotonic() - began

    assert asyncio.run(closed())[1] < 20


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", ":0", "localhost:0"])
def test_where_it_can_listen(address: str) -> None:
    need(socket.has_ipv6 or not address.startswith("["), "a Python that knows IPv6")

    async def served() -> None:
        server = HttpServer(answer)
        url = await server.open(address)
        port = int(url.rstrip("/").rpartition(":")[2])
        host = "::1" if address.startswith("[") else "127.0.0.1"
        if not address.startswith("localhost"):  # which may be either
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert status(await reader.read()) == 200
            writer.close()
        await server.close()

    asyncio.run(served())


@pytest.mark.parametrize("address", ["nowhere.invalid:0", "a..b:0", "192.0.2.1:0"])
def test_where_it_cannot(address: str) -> None:
    with pytest.raises(OSError, match=r"\w"):
        asyncio.run(HttpServer(answer).open(address))


def test_an_address_in_use_is_an_error_and_leaves_nothing_open() -> None:
    async def twice() -> None:
        async with listening() as port:
            with pytest.raises(OSError, match="in use"):
                await HttpServer(answer).open(f"127.0.0.1:{port}")

    asyncio.run(twice())
