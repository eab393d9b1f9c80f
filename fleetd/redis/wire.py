"""redis-py's connections with this program's time-outs, and with an end that waits for nobody."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

from redis.asyncio import connection as redis_py
from redis.exceptions import RedisError

from fleetd.config.redis_url import Endpoint, Place, RedisUrl
from fleetd.errors import UsageError

PATIENCE = 2.0  # seconds for a connection, and for an answer
_TCP = {
    socket.TCP_USER_TIMEOUT: int(PATIENCE * 1000),  # what was sent into a cut does not arrive after it
    socket.TCP_KEEPIDLE: 5,  # with the two below, a silent peer that is gone is found after 7 to 9 seconds
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 2,
}


class Wire(redis_py.AbstractConnection):
    """What all three kinds add to redis-py's."""

    @property
    def is_alive(self) -> bool:
        """Whether it is connected, and not ended by the server as far as this host was told."""
        reader, writer = self._reader, self._writer
        return reader is not None and writer is not None and not (reader.at_eof() or writer.is_closing())

    def abort(self) -> None:
        """End it at once, without TLS saying goodbye to a peer that may be gone; what is on its way is lost."""
        self.cut()
        if self._writer is not None:
            self._close()  # type: ignore[no-untyped-call]

    def cut(self) -> None:
        """As a network would end it: who is just using it gets an error."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def close(self) -> None:
        """End it, and wait until the socket is closed; who is just using it gets an error."""
        writer = self._writer
        self.cut()
        if writer is not None:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self.abort()

    async def listen(self) -> Any:
        """The next message, however long it takes: a peer that is gone is found by TCP."""
        limit, self.socket_timeout = self.socket_timeout, None
        try:
            return await self.read_response()
        finally:
            self.socket_timeout = limit


class _Tcp(Wire, redis_py.Connection):
    pass


class _Tls(Wire, redis_py.SSLConnection):
    pass


class _Unix(Wire, redis_py.UnixDomainSocketConnection):
    pass


def wire_to(url: RedisUrl, place: Place, *, sentinel: bool) -> Wire:
    """A connection to be opened with `connect`; files of TLS parameters are read then."""
    login = url.sentinel_login if sentinel else url.login
    arguments: dict[str, Any] = {
        "username": login.user,
        "password": login.password,
        "db": 0 if sentinel else url.database,
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        "protocol": 2,  # no HELLO, no push messages
    }
    if isinstance(place, Endpoint):
        arguments |= {"host": place.host, "port": place.port}
        arguments |= {"socket_keepalive": True, "socket_keepalive_options": _TCP}
        wire: Wire = _Tcp(**arguments) if url.tls is None else _Tls(**arguments, **url.tls)
    else:
        wire = _Unix(path=place.path, **arguments)
    # No CLIENT SETINFO: it would need a permission that Redis before 7.2 has no name for.
    wire.driver_info = None
    for name in ("lib_name", "lib_version"):  # the same in earlier versions of redis-py
        setattr(wire, name, None)
    return wire


def check_tls(url: RedisUrl) -> None:
    """Raises UsageError when what a URL's TLS parameters name cannot be used."""
    if url.tls is None:
        return
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        path = url.tls.get(name)
        try:
            if path is not None:
                Path(path).read_bytes()
        except OSError as error:
            raise UsageError(f"{url}: {name}: {path}: {(error.strerror or 'cannot be read').lower()}") from None
    try:
        _Tls(**url.tls).ssl_context.get()
    except (RedisError, OSError, ValueError):  # ssl.SSLError is an OSError
        raise UsageError(
            f"{url}: the ssl parameters cannot be used: are the files PEM, and is the key the certificate's?"
        ) from None
