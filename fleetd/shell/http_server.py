"""A small HTTP/1.1 server for whoever looks: GET and HEAD, one request a connection, everything bounded.

Strangers may talk to it, so that what one of them can take is little: a request has a size and a time, connections
have a number, and what does not fit is refused in as few words as HTTP has for it (decision 21).  Who connects and
asks nothing keeps nobody else out.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from errno import EINVAL
from http import HTTPStatus

from msgspec import Struct

from fleetd.config import listen_address

LARGEST_REQUEST = 8192  # bytes: the request line and all headers
MOST_CONNECTIONS = 32
WITHIN = 5.0  # seconds, for a whole request and its answer
LINGER = 1.0  # seconds that a client has to hang up, in which what it still sends is thrown away
MOST_THROWN_AWAY = 64 * 1024  # bytes

_REQUEST = re.compile(rb"([A-Z]{1,16}) ([!-~]+) HTTP/(\d)\.\d")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)  # a proxy is asked with the whole URL
TEXT = "text/plain; charset=utf-8"


class Asked(Struct, frozen=True):
    """A request: its path without the query, and what it accepts."""

    path: str
    accept: str = ""


class Answer(Struct, frozen=True):
    """What is sent back."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    kind: str = TEXT
    more: tuple[str, ...] = ()  # header lines


class _RefusedError(Exception):
    """A request that is not worth more than a status."""

    def __init__(self, status: HTTPStatus, *more: str) -> None:
        super().__init__(status)
        self.answer = refusal(status, *more)


def refusal(status: HTTPStatus, *more: str) -> Answer:
    """An answer that says no more than its status does."""
    return Answer(f"{status.value} {status.phrase}\n".encode(), status, more=more)


class HttpServer:
    """Answers requests on the event loop; `answer` must not take long.

    An exception of `answer` is a defect: it goes to the loop's exception handler, and the client gets a 500.
    """

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}  # no request yet; the oldest first

    async def open(self, address: str) -> str:
        """Listen at HOST:PORT, and answer with the URL of its root.  Raises OSError."""
        host, port = listen_address.parse(address)
        try:
            listener = await _bound(host, port)
        except UnicodeError:
            raise OSError(EINVAL, "there can be no host of that name") from None
        self._server = await asyncio.start_server(
            self._accept, sock=listener, limit=LARGEST_REQUEST, start_serving=False
        )
        await self._server.start_serving()  # `close` knows of it, should this be cancelled
        return _url(host, listener.getsockname()[1])

    async def close(self) -> None:
        """Hang up on everybody, at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= MOST_CONNECTIONS and not self._make_room():
            _turn_away(writer)
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        self._silent[writer] = task
        task.add_done_callback(lambda over: self._end(over, writer))

    def _make_room(self) -> bool:
        """Turn away who has been silent longest; False where everybody has asked for something."""
        writer = next(iter(self._silent), None)
        if writer is None:
            return False
        task = self._silent[writer]
        self._end(task, writer)
        task.cancel()
        _turn_away(writer)
        return True

    def _end(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._tasks.discard(task)
        self._silent.pop(writer, None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(TimeoutError):  # it does not take what it asked for
                async with asyncio.timeout(2 * WITHIN):
                    writer.transport.set_write_buffer_limits(0)
                    reply = await self._reply(reader)
                    self._silent.pop(writer, None)
                    writer.write(reply)
                    await writer.drain()  # all of it
                    writer.write_eof()
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):  # to close with something unread would take the answer back
                    await _throw_away(reader)
        except OSError:  # it is gone
            pass
        finally:
            writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        with_body = True
        try:
            async with asyncio.timeout(WITHIN):
                method, asked = _parsed(await _head(reader))
            with_body = method == "GET"
            return _encoded(self._answered(asked), with_body=with_body)
        except TimeoutError:
            return _encoded(refusal(HTTPStatus.REQUEST_TIMEOUT), with_body=True)
        except _RefusedError as refused:
            return _encoded(refused.answer, with_body=with_body)

    def _answered(self, asked: Asked) -> Answer:
        try:
            return self._answer(asked)
        except Exception as defect:  # noqa: BLE001 - reported, and the next one may ask again
            report = {"message": f"{asked.path} could not be answered", "exception": defect}
            asyncio.get_running_loop().call_exception_handler(report)
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR)


def _turn_away(writer: asyncio.StreamWriter) -> None:
    writer.write(_encoded(refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Retry-After: 5"), with_body=True))
    writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
    except asyncio.IncompleteReadError as cut:
        if not cut.partial:
            raise ConnectionResetError from None  # somebody only looked whether the port is open
        raise _RefusedError(HTTPStatus.BAD_REQUEST) from None


def _parsed(head: bytes) -> tuple[str, Asked]:
    """The method, and what is asked for.  Raises _RefusedError."""
    first, *lines = head[:-4].split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        raise _RefusedError(HTTPStatus.BAD_REQUEST)
    headers = [_HEADER.fullmatch(line) for line in lines]
    if request[3] != b"1":
        raise _RefusedError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    if None in headers:
        raise _RefusedError(HTTPStatus.BAD_REQUEST)
    if request[1] not in {b"GET", b"HEAD"}:
        raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "Allow: GET, HEAD")
    accept = [each[2].decode("latin-1") for each in headers if each is not None and each[1].lower() == b"accept"]
    target = _ORIGIN.sub("", request[2].decode("ascii"), count=1) or "/"
    return request[1].decode("ascii"), Asked(re.split("[?#]", target, maxsplit=1)[0], ", ".join(accept))


def _encoded(answer: Answer, *, with_body: bool) -> bytes:
    lines = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        *answer.more,
        "Connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (answer.body if with_body else b"")


async def _throw_away(reader: asyncio.StreamReader) -> None:
    left = MOST_THROWN_AWAY
    while left > 0 and (chunk := await reader.read(LARGEST_REQUEST)):
        left -= len(chunk)


async def _bound(host: str, port: int) -> socket.socket:
    """A socket that is bound to the first address of a host.  Raises OSError."""
    if not host:
        return _all_addresses(port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # a name: whoever knows it may take long, or be away
        from fleetd.brokers.threads import Threads  # noqa: PLC0415 - most addresses are numbers

        found = await Threads(1).run(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    family, _, _, _, address = found[0]
    return _bound_to(family, address)


def _all_addresses(port: int) -> socket.socket:
    """One socket for IPv6 and IPv4; for IPv4 alone where the kernel has no other."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _bound_to(family: socket.AddressFamily, address: tuple[str | int | bytes, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not for those that listen, on Linux
        listener.bind(address)
        listener.listen(MOST_CONNECTIONS)
    except BaseException:
        listener.close()
        raise
    return listener


def _url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host or socket.gethostname()
    return f"http://{shown}:{port}/"
