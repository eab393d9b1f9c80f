"""The port to a database's driver: how to connect, ask, and understand what went wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from fleetd.brokers.sql.parameters import Statement, Style
from fleetd.errors import FleetdError, UnreachableError

CONNECT_WITHIN = 2  # seconds for a connection
ANSWER_WITHIN = 2  # seconds for a statement
TOO_SLOW = f"a query took longer than {ANSWER_WITHIN} s: is there an index for it?"
NO_LOGIN = "refuses the user or the password"

_LONGEST = 200  # characters of a server's own words


class LostError(Exception):
    """The connection is gone; a new one may do.  The text is what to say if it does not."""


class Driver(Protocol):
    """One database.  All of it runs in threads, one call at a time, but `interrupt`.

    Connections only read.  Methods raise UnreachableError when there is no answer, and FleetdError for an answer that
    is a refusal; `ask` raises LostError where the connection is gone.  No text has a user or password in it.
    """

    style: Style
    label: str  # what its messages begin with: which database
    keeps: bool  # whether a connection is good for more than one read

    def connect(self) -> Any:
        """A new connection, within CONNECT_WITHIN."""
        ...

    def ask(self, connection: Any, statements: Sequence[Statement]) -> list[Any]:
        """The columns of the statements' only rows, all as of one moment, each statement within ANSWER_WITHIN."""
        ...

    def interrupt(self, connection: Any) -> None:
        """From another thread: have the call that is under way come back."""
        ...


def library(name: str, extra: str, label: str) -> Any:
    """The driver's package, imported by name, since not all have types.  Raises FleetdError where that fails."""
    try:
        return import_module(name)
    except ImportError:  # without the library of the server's that psycopg needs, say
        raise FleetdError(f"{label}: {name} cannot be loaded here: pip install 'fleetd[{extra}]'") from None


def words_of(error: object, *secrets: str | None) -> str:
    """A server's words on one line, with the secrets left out."""
    text = " ".join(str(error).split())
    for secret in secrets:
        if secret:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "…", text)
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST].strip()


def no_table(label: str, name: str) -> FleetdError:
    """The error for a table that is not there."""
    return FleetdError(f"{label}: there is no table {name}: is it the right database, and were its migrations run?")


def unreachable(label: str, why: str) -> UnreachableError:
    """The error for a server that gives no answer."""
    return UnreachableError(f"{label}: {why}")
