"""PostgreSQL by psycopg 3, through PgBouncer too: nothing is set for longer than a transaction."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fleetd.brokers.sql.address import Address
from fleetd.brokers.sql.driver import (
    ANSWER_WITHIN,
    CONNECT_WITHIN,
    NO_LOGIN,
    TOO_SLOW,
    LostError,
    library,
    no_table,
    unreachable,
    words_of,
)
from fleetd.brokers.sql.parameters import Statement, Style
from fleetd.errors import FleetdError

_BEGIN = (
    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    f" SET LOCAL statement_timeout = {ANSWER_WITHIN * 1000}; SET LOCAL TimeZone = 'UTC'"
)
_NO_CONNECTION = (  # what libpq and the server say, and what is said instead
    (r"Connection refused", "connection refused: no PostgreSQL listens there"),
    (r"No such file or directory", "no such socket: no PostgreSQL listens there"),
    (r"password authentication failed|authentication failed for user", NO_LOGIN),
    (r"no password supplied", "asks for a password: write user:password@ before the host"),
    (r"no pg_hba\.conf entry", "does not let this user in from here (its pg_hba.conf says who may)"),
    (r'role "[^"]*" does not exist', NO_LOGIN),
    (r'database "[^"]*" does not exist', "has no such database"),
    (r"timeout expired|timed out", "no answer"),
    (r"failed to resolve|could not translate|Name or service not known", "there is no such host"),
    (r"too many clients|connection slots", "takes no more connections"),
    (r"starting up|shutting down|recovery mode", "takes no connections now"),
)


class Postgresql:
    """The driver of one database."""

    style = Style.POSTGRESQL
    keeps = True

    def __init__(self, url: str) -> None:
        self._url = url
        address = Address.of(url)
        self.label = address.label
        self._secrets = tuple(address.secrets())

    def connect(self) -> Any:
        """A connection that prepares nothing: behind PgBouncer the next statement may be on another server's."""
        psycopg = library("psycopg", "postgresql", self.label)
        try:
            return psycopg.connect(
                self._url,
                connect_timeout=CONNECT_WITHIN,
                autocommit=True,
                prepare_threshold=None,
                client_encoding="UTF8",
            )
        except psycopg.ProgrammingError as error:
            raise self._no_url(error) from None
        except psycopg.Error as error:
            raise unreachable(self.label, self._no_connection(error)) from None

    def ask(self, connection: Any, statements: Sequence[Statement]) -> list[Any]:
        """The answers, in one transaction."""
        psycopg = library("psycopg", "postgresql", self.label)
        answers: list[Any] = []
        try:
            connection.execute(_BEGIN)
            for statement in statements:
                answers += connection.execute(statement.text, statement.values).fetchone()
            connection.execute("ROLLBACK")
        except psycopg.Error as error:
            raise self._explained(error, lost=connection.closed) from None
        return answers

    def interrupt(self, connection: Any) -> None:
        """Cut the connection: the server may be one that no longer answers."""
        with suppress(Exception):  # closed meanwhile, in one of several ways
            copy = os.dup(connection.fileno())
            with socket.socket(fileno=copy) as cut:
                cut.shutdown(socket.SHUT_RDWR)

    def _no_url(self, error: Exception) -> FleetdError:
        # libpq repeats the whole URL in some of these.
        option = re.search(r'invalid URI query parameter: "(\w+)"', str(error))
        why = f"PostgreSQL's library knows no option {option[1]}" if option else "not a URL of PostgreSQL's library"
        return FleetdError(f"{self.label}: {why}")

    def _no_connection(self, error: Exception) -> str:
        for pattern, words in _NO_CONNECTION:
            if re.search(pattern, str(error)):
                return words
        return words_of(error, *self._secrets)

    def _explained(self, error: Any, *, lost: bool) -> Exception:
        state = error.sqlstate or ""
        if state == "42P01":
            named = re.search(r'"([^"]+)"', str(error))
            return no_table(self.label, named[1] if named else "of that name")
        if state == "57014":
            return unreachable(self.label, TOO_SLOW)
        if lost or state.startswith(("08", "57P")):
            return LostError(f"{self.label}: the connection was closed")
        if state == "42501":
            return FleetdError(f"{self.label}: {self._words(error)}: give its user the right to SELECT")
        return FleetdError(f"{self.label}: PostgreSQL answered: {self._words(error)}")

    def _words(self, error: Any) -> str:
        return words_of(error.diag.message_primary or error, *self._secrets)
