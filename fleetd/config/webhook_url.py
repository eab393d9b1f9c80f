"""The URL of a webhook: text to value.  What follows the host is a secret, and is shown nowhere."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

from fleetd.errors import UsageError

_PLAIN = re.compile("[!-~]+")
_WANTED = "the webhook: write it as https://HOST/PATH, without user and password"


class Target(Struct, frozen=True):
    """Where a webhook is posted to; shows no more than scheme and host."""

    host: str
    port: int
    path: str  # with the query
    is_tls: bool

    def __str__(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"

    def __repr__(self) -> str:
        return f"Target({str(self)!r})"

    @property
    def authority(self) -> str:
        """HOST, or HOST:PORT where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """What a URL names.  Raises UsageError, quoting nothing of it."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise UsageError(_WANTED) from None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc or not _PLAIN.fullmatch(url):
        raise UsageError(_WANTED)
    is_tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port or (443 if is_tls else 80), path, is_tls)
