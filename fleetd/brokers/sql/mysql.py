"""MySQL and MariaDB by PyMySQL."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

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

_OPTIONS = ("unix_socket", "charset", "ssl_ca", "ssl_cert", "ssl_key")
_NO_CONNECTION = {  # by the number of the error
    1040: "takes no more connections",
    1044: "does not let this user see that database",
    1045: NO_LOGIN,
    1049: "has no such database",
    1129: "lets this host in no more after too many errors (FLUSH HOSTS)",
    1130: "does not let this host in",
    1698: NO_LOGIN,
}
_NO_TABLE, _TOO_SLOW, _NO_SELECT, _UNKNOWN_SETTING = 1146, (3024, 1969, 1317), (1142, 1143), 1193
_LOST = (0, 2006, 2013, 2014, 2055, 1053, 1927, 4031)


T = TypeVar("T")


class Mysql:
    """The driver of one database."""

    style = Style.MYSQL
    keeps = True

    def __init__(self, url: str) -> None:
        address = Address.of(url)
        self.label = address.label
        self._socket: socket.socket | None = None  # the last connection's
        try:
            self._arguments = _arguments(address)
        except ValueError as error:
            raise FleetdError(f"{self.label}: {error}") from None

    def connect(self) -> Any:
        """A connection whose statements end by themselves."""
        pymysql = library("pymysql", "mysql", self.label)
        try:
            self._socket = self._opened()  # its own would be left open where it fails
            connection = pymysql.Connection(
                **self._arguments,
                read_timeout=ANSWER_WITHIN + 1,
                write_timeout=ANSWER_WITHIN,
                autocommit=True,
                defer_connect=True,
            )
            connection.connect(self._socket)
        except OSError as error:
            raise unreachable(self.label, _no_socket(error)) from None
        except pymysql.err.MySQLError as error:
            raise unreachable(self.label, self._no_connection(error)) from None
        except RuntimeError:  # a way to log in for which it needs another package
            raise FleetdError(f"{self.label}: the login needs cryptography: pip install 'fleetd[mysql]'") from None
        return self._done(lambda: _limited(connection))

    def ask(self, connection: Any, statements: Sequence[Statement]) -> list[Any]:
        """The answers, in one transaction."""

        def asked() -> list[Any]:
            answers: list[Any] = []
            with connection.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                for statement in statements:
                    cursor.execute(statement.text, statement.values)
                    answers += cursor.fetchone()
                cursor.execute("ROLLBACK")
            return answers

        return self._done(asked)

    def interrupt(self, connection: Any) -> None:  # noqa: ARG002 - it shows no socket of its own
        """Cut the connection."""
        if self._socket is not None:
            with suppress(OSError):  # closed meanwhile
                self._socket.shutdown(socket.SHUT_RDWR)

    def _opened(self) -> socket.socket:
        path = self._arguments["unix_socket"]
        if path is None:
            return socket.create_connection((self._arguments["host"], self._arguments["port"]), CONNECT_WITHIN)
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.settimeout(CONNECT_WITHIN)
            opened.connect(path)
        except OSError:
            opened.close()
            raise
        return opened

    def _done(self, call: Callable[[], T]) -> T:
        """What the call answers."""
        pymysql = library("pymysql", "mysql", self.label)
        try:
            return call()
        except pymysql.err.MySQLError as error:
            raise self._explained(error) from None

    def _no_connection(self, error: Exception) -> str:
        number = _number(error)
        if number in _NO_CONNECTION:
            return _NO_CONNECTION[number]
        return "no answer" if number in _LOST else self._words(error)

    def _explained(self, error: Exception) -> Exception:
        number, words = _number(error), self._words(error)
        if number == _NO_TABLE:
            named = re.search(r"'(?:[^'.]+\.)?([^']+)'", words)
            return no_table(self.label, named[1] if named else "of that name")
        if number in _TOO_SLOW or isinstance(error.__context__, TimeoutError):
            return unreachable(self.label, TOO_SLOW)
        if number in _LOST:
            return LostError(f"{self.label}: the connection was closed")
        if number in _NO_SELECT:
            named = re.search(r"for (?:table|column) (\S+)", words)
            return FleetdError(f"{self.label}: give its user the right to SELECT from {named[1] if named else 'it'}")
        return FleetdError(f"{self.label}: MySQL answered: {words}")

    def _words(self, error: Exception) -> str:
        return words_of(error.args[-1] if error.args else error, self._arguments["password"], self._arguments["user"])


def _no_socket(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: no MySQL listens there"
    if isinstance(error, FileNotFoundError):
        return "no such socket: no MySQL listens there"
    if isinstance(error, TimeoutError):
        return "no answer"
    return "there is no such host" if isinstance(error, socket.gaierror) else "no connection"


def _limited(connection: Any) -> Any:
    """The connection, told to end its statements in time, and that times are in UTC."""
    pymysql: Any = import_module("pymysql")
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        cursor.execute("SET SESSION time_zone = '+00:00'")
        try:
            if "MariaDB" in connection.get_server_info():
                cursor.execute(f"SET SESSION max_statement_time = {ANSWER_WITHIN}")
            else:
                cursor.execute(f"SET SESSION max_execution_time = {ANSWER_WITHIN * 1000}")
        except pymysql.err.MySQLError as error:
            if _number(error) != _UNKNOWN_SETTING:  # an old server: read_timeout has to do
                raise
    return connection


def _number(error: Exception) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _arguments(address: Address) -> dict[str, Any]:
    """PyMySQL's arguments from a URL.  Raises ValueError with what is wrong, which names no part of the login."""
    if address.place is None:
        raise ValueError(
            "it is not clear where the login ends: write @ and ? within the password or the options as %40 and %3F"
        )
    user, _, password = address.login.partition(":")
    parts = urlsplit(f"//{address.place}")
    try:
        port = parts.port or 3306
    except ValueError:
        raise ValueError("the port has to be a number up to 65535") from None
    options = dict(parse_qsl(address.query))
    for name in options:
        if name not in _OPTIONS:
            raise ValueError(f"the URL may have the options {', '.join(_OPTIONS)}; it has others")
    return {
        "host": parts.hostname or "localhost",
        "port": port,
        "user": unquote(user) or None,
        "password": unquote(password),
        "database": unquote(parts.path.removeprefix("/")) or None,
        "charset": "utf8mb4",
        "unix_socket": None,
    } | options
