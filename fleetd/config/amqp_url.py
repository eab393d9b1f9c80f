"""The URL of a RabbitMQ: text to value, and the value to text without user and password.

Nothing of a text that cannot be read is quoted: any part of it may be part of a password.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote

from msgspec import Struct, structs

from fleetd.errors import UsageError

_URL = re.compile(r"(amqps?)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?(#.*)?", re.DOTALL)
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]@,;]+))(?::([0-9]{1,5}))?")
_PORTS = MappingProxyType({"amqp": 5672, "amqps": 5671})
_LAST_PORT = 65535
_LONGEST, _LONGEST_VHOST = 8000, 255

# RabbitMQ's own names for what follows the question mark, and those of Celery's library.
_TLS = MappingProxyType(
    {
        "cacertfile": "ca",
        "certfile": "certificate",
        "keyfile": "key",
        "verify": "verify",
        "ssl_ca_certs": "ca",
        "ssl_certfile": "certificate",
        "ssl_keyfile": "key",
        "ssl_cert_reqs": "verify",
    }
)
_VERIFY = MappingProxyType(
    {
        "verify_peer": True,
        "verify_none": False,
        "required": True,
        "none": False,
        "CERT_REQUIRED": True,
        "CERT_NONE": False,
    }
)


class Tls(Struct, frozen=True):
    """Paths of PEM files, None where the system's own are meant; `verify`: whether the server's certificate counts."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    verify: bool = True


class AmqpUrl(Struct, frozen=True):
    """A URL that was read; `tls` None: no TLS."""

    host: str
    port: int
    vhost: str = "/"
    user: str = "guest"
    password: str = "guest"  # noqa: S105 - what RabbitMQ comes with
    tls: Tls | None = None

    def __str__(self) -> str:
        """For people: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'amqp' if self.tls is None else 'amqps'}://{host}:{self.port}/{quote(self.vhost, safe='')}"

    def __repr__(self) -> str:
        return f"AmqpUrl({str(self)!r})"


def parse(text: str) -> AmqpUrl:
    """The value of a URL; raises UsageError with one line that quotes nothing secret."""
    match = _URL.fullmatch(text)
    if match is None:
        raise UsageError("the RabbitMQ URL: begin it with amqp:// or amqps://")
    scheme, authority, path, query, fragment = match.groups()
    if fragment is not None or "@" in (path or "") + (query or ""):
        raise UsageError(f"the {scheme}:// URL: write %2F for /, %3F for ? and %23 for # in a user or password")
    user_info, at, place = authority.rpartition("@")
    if "@" in user_info:
        raise UsageError(f"the {scheme}:// URL: write user:password@ once, before the host, and %40 for @ in it")
    host = _HOST.fullmatch(place)
    port = int((host and host[3]) or _PORTS[scheme])
    if host is None or not 1 <= port <= _LAST_PORT:
        raise UsageError(f"the {scheme}:// URL: write one HOST:PORT after it (an IPv6 address in [])")
    # Some libraries write the vhost / as it is, some not at all.
    vhost = unquote((path or "")[1:]) or "/"
    try:
        too_long = len(text.encode()) > _LONGEST or len(vhost.encode()) > _LONGEST_VHOST
    except UnicodeEncodeError:
        raise UsageError(f"the {scheme}:// URL: it is not UTF-8") from None
    if too_long:
        raise UsageError(f"the {scheme}:// URL: a vhost has at most {_LONGEST_VHOST} bytes, a URL {_LONGEST}")
    url = AmqpUrl(host[1] or host[2], port, vhost, tls=_tls(scheme, query or ""))
    if not at:
        return url
    user, _, password = user_info.partition(":")
    return structs.replace(url, user=unquote(user), password=unquote(password))


def _tls(scheme: str, query: str) -> Tls | None:
    """What the parameters say of TLS; others are for the workers' libraries, which know many."""
    if scheme == "amqp":
        return None
    given = {_TLS[name]: text for name, text in parse_qsl(query) if name in _TLS}
    verify = given.pop("verify", "verify_peer")
    if verify not in _VERIFY:
        raise UsageError("the amqps:// URL: verify must be verify_peer or verify_none")
    return Tls(**given, verify=_VERIFY[verify])
