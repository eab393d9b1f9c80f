"""The parts of a database's URL, told apart so that none that may be secret is ever taken for the name of a place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from msgspec import Struct

_QUERY = re.compile(r"\?[A-Za-z_]+=")
_SECRET = ("user", "password", "sslpassword")  # of a query


class Address(Struct, frozen=True):
    """`SCHEME://LOGIN@PLACE?QUERY`; a place is the host, the port and the database.

    A password may hold any character, unescaped: all up to the last @ before the query is taken for the login.  Where a
    query with an @ might as well be a part of a password, `place` is None.
    """

    scheme: str
    login: str
    place: str | None
    query: str

    @classmethod
    def of(cls, url: str) -> Address:
        """What a URL names."""
        scheme, _, rest = url.partition("://")
        begin = _QUERY.search(rest)
        front, query = (rest[: begin.start()], rest[begin.start() + 1 :]) if begin else (rest, "")
        login, at, place = front.rpartition("@")
        if not at and ":" in front and "@" in query:
            return cls(scheme, rest.rpartition("@")[0], None, query)
        return cls(scheme, login, place, query)

    @property
    def label(self) -> str:
        """The URL without what may be secret: login and options."""
        return f"{self.scheme}://{'…' if self.place is None else self.place.partition('?')[0]}"

    def secrets(self) -> Iterator[str]:
        """What no text may repeat, as it is written and as it is meant."""
        user, _, password = self.login.partition(":")
        yield from (password, unquote(password), unquote(user))
        for option in self.query.split("&"):
            name, _, value = option.partition("=")
            if name in _SECRET:
                yield from (value, unquote(value))
