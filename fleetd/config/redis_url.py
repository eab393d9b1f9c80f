"""The URL of a fleet's Redis: text to value, and the value to text without user and password.

Nothing of a text that cannot be read is quoted: any part of it may be part of a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

from fleetd.config.suggestions import nearest
from fleetd.errors import UsageError

_URL = re.compile(r"([a-z+]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]@]+))(?::([0-9]{1,5}))?")
_REDIS_PORT, _SENTINEL_PORT, _LAST_PORT = 6379, 26379, 65535


class Kind(StrEnum):
    """What stands behind a URL."""

    SERVER = "redis"
    SOCKET = "unix"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


class Endpoint(Struct, frozen=True):
    """Where a server listens for TCP."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class SocketPath(Struct, frozen=True):
    """Where a server of this host listens."""

    path: str

    def __str__(self) -> str:
        return self.path


Place = Endpoint | SocketPath


class Login(Struct, frozen=True):
    """Who logs in; shows neither."""

    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "Login(…)" if self.user or self.password else "Login()"


class RedisUrl(Struct, frozen=True):
    """A URL that was read.  `tls` are the arguments of redis-py's SSLConnection; None: no TLS."""

    kind: Kind
    seeds: tuple[Place, ...]
    database: int = 0
    service: str = ""
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: Mapping[str, Any] | None = None

    @property
    def holds_password(self) -> bool:
        """Whether the text has a secret in it, so that it must not be on a command line."""
        secrets = self.login.password, self.sentinel_login.password, (self.tls or {}).get("ssl_password")
        return any(secret is not None for secret in secrets)

    def label(self, place: Place) -> str:
        """What to say of one of several servers before its failure; nothing where there is only one."""
        return "" if self.kind in {Kind.SERVER, Kind.SOCKET} else f"{place}: "

    def __str__(self) -> str:
        """For people: without user and password."""
        seeds = ",".join(map(str, self.seeds))
        if self.kind is Kind.SOCKET:
            return f"unix://{seeds}?db={self.database}"
        if self.kind is Kind.SERVER:
            return f"{'redis' if self.tls is None else 'rediss'}://{seeds}/{self.database}"
        path = f"/{self.service}/{self.database}" if self.kind is Kind.SENTINEL else ""
        return f"{self.kind}://{seeds}{path}"

    def __repr__(self) -> str:
        return f"RedisUrl({str(self)!r})"


def parse(text: str) -> RedisUrl:
    """The value of a URL; raises UsageError with one line that quotes nothing secret."""
    match = _URL.fullmatch(text)
    if match is None or match[1] not in _READERS:
        raise UsageError(f"the Redis URL: begin it with {', '.join(f'{scheme}://' for scheme in _READERS)}")
    scheme, authority, path, query, fragment = match.groups()
    if fragment is not None or "@" in path + (query or ""):
        raise UsageError(f"the {scheme}:// URL: write %2F for /, %3F for ? and %23 for # in a user or password")
    user_info, at, hosts = authority.rpartition("@")
    if "@" in user_info:
        raise UsageError(f"the {scheme}:// URL: write user:password@ once, before the first host, and %40 for @ in it")
    options = _options(scheme, query or "")
    user, colon, password = user_info.partition(":")
    options.setdefault("username", unquote(user) or None if at else None)
    options.setdefault("password", unquote(password) if colon else None)
    return _READERS[scheme](scheme, hosts, path, options)


def _server(scheme: str, hosts: str, path: str, options: dict[str, Any]) -> RedisUrl:
    seeds = _seeds(scheme, hosts, _REDIS_PORT)
    if len(seeds) > 1:
        raise UsageError(f"the {scheme}:// URL: one host, or begin it with redis+sentinel:// or redis+cluster://")
    database = options.get("db", _database(scheme, path.strip("/")))
    return RedisUrl(Kind.SERVER, seeds, database, login=_login(options), tls=_tls(scheme, options))


def _socket(scheme: str, hosts: str, path: str, options: dict[str, Any]) -> RedisUrl:
    if hosts or not path.strip("/"):
        raise UsageError(
            "the unix:// URL: write the socket's absolute path after it, as in unix:///run/redis.sock?db=0"
        )
    if _tls(scheme, options) is not None:
        raise UsageError("the unix:// URL: there is no TLS on a unix socket, leave ssl out")
    return RedisUrl(Kind.SOCKET, (SocketPath(unquote(path)),), options.get("db", 0), login=_login(options))


def _sentinel(scheme: str, hosts: str, path: str, options: dict[str, Any]) -> RedisUrl:
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise UsageError(
            "the redis+sentinel:// URL: name the service after the hosts, as in h1:26379,h2:26379/mymaster/0"
        )
    return RedisUrl(
        Kind.SENTINEL,
        _seeds(scheme, hosts, _SENTINEL_PORT),
        options.get("db", _database(scheme, database)),
        unquote(service),
        login=_login(options),
        sentinel_login=Login(options.get("sentinel_username"), options.get("sentinel_password")),
        tls=_tls(scheme, options),
    )


def _cluster(scheme: str, hosts: str, path: str, options: dict[str, Any]) -> RedisUrl:
    if options.get("db", _database(scheme, path.strip("/"))):
        raise UsageError("the redis+cluster:// URL: a Cluster has database 0 only")
    seeds = _seeds(scheme, hosts, _REDIS_PORT)
    return RedisUrl(Kind.CLUSTER, seeds, login=_login(options), tls=_tls(scheme, options))


_READERS: Mapping[str, Callable[[str, str, str, dict[str, Any]], RedisUrl]] = MappingProxyType(
    {"redis": _server, "rediss": _server, "unix": _socket, "redis+sentinel": _sentinel, "redis+cluster": _cluster}
)


def _seeds(scheme: str, hosts: str, default_port: int) -> tuple[Endpoint, ...]:
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    seeds = [Endpoint(m[1] or m[2], int(m[3] or default_port)) for m in found if m is not None]
    if len(seeds) < len(found) or not all(1 <= seed.port <= _LAST_PORT for seed in seeds):
        more = ", several with commas between them" if scheme in {Kind.SENTINEL, Kind.CLUSTER} else ""
        raise UsageError(f"the {scheme}:// URL: write HOST:PORT after it (an IPv6 address in []){more}")
    return tuple(dict.fromkeys(seeds))


def _database(scheme: str, text: str) -> int:
    if not re.fullmatch("[0-9]{0,5}", text):
        raise UsageError(f"the {scheme}:// URL: the database is a number, as in /0")
    return int(text or 0)


def _login(options: Mapping[str, Any]) -> Login:
    return Login(options["username"], options["password"])


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "t", "yes", "y", "1", "false", "f", "no", "n", "0"}:
        raise ValueError
    return text.lower()[0] in "ty1"


def _requirement(text: str) -> str:
    if text not in {"none", "optional", "required"}:
        raise ValueError
    return text


_OPTIONS: Mapping[str, tuple[Callable[[str], Any], str]] = MappingProxyType(
    {
        "db": (int, "a number"),
        "username": (str, ""),
        "password": (str, ""),
        "sentinel_username": (str, ""),
        "sentinel_password": (str, ""),
        "ssl": (_flag, "true or false"),
        "ssl_ca_certs": (str, ""),
        "ssl_ca_path": (str, ""),
        "ssl_certfile": (str, ""),
        "ssl_keyfile": (str, ""),
        "ssl_password": (str, ""),
        "ssl_ciphers": (str, ""),
        "ssl_check_hostname": (_flag, "true or false"),
        "ssl_cert_reqs": (_requirement, "none, optional or required"),
    }
)


def _options(scheme: str, query: str) -> dict[str, Any]:
    """What stands after the question mark, each read as what it is."""
    options: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            near = nearest(name, (option.replace("_", "-") for option in _OPTIONS))
            hint = f"did you mean {near.replace('-', '_')}?" if near else f"fleetd knows {', '.join(_OPTIONS)}"
            raise UsageError(f"the {scheme}:// URL: unknown parameter after the question mark: {hint}")
        if name in options:
            raise UsageError(f"the {scheme}:// URL: {name} is there twice")
        if name.startswith("sentinel_") and scheme != Kind.SENTINEL:
            raise UsageError(f"the {scheme}:// URL: {name} goes with redis+sentinel:// only")
        read, form = _OPTIONS[name]
        try:
            options[name] = read(text)
        except ValueError:
            raise UsageError(f"the {scheme}:// URL: {name} must be {form}") from None
    return options


def _tls(scheme: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of redis-py's SSLConnection.  An option that would have no effect is refused: it is a mistake."""
    arguments = {name: value for name, value in options.items() if name.startswith("ssl_")}
    wanted = options.get("ssl", scheme == "rediss")
    if scheme == "rediss" and not wanted:
        raise UsageError("the rediss:// URL: it contradicts ssl=false; write redis:// for a connection without TLS")
    if wanted:
        requirement = arguments.setdefault("ssl_cert_reqs", "required")
        arguments["ssl_check_hostname"] = requirement != "none" and arguments.get("ssl_check_hostname", True)
        return arguments
    if arguments:
        raise UsageError(f"the {scheme}:// URL: {min(arguments)} has no effect without TLS: add ssl=true")
    return None
