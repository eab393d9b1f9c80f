"""The URL of RabbitMQ's management API: text to value, and the value to text without user and password."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from fleetd.errors import UsageError

_PLAIN = re.compile("[!-~]+")
_WANTED = "the URL of RabbitMQ's management API: write http://HOST:15672 or https://HOST:15671"


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


def parse(url: str, user: str, password: str) -> Site:
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
