"""SQLite by the standard library: a file, opened read-only, anew for each read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fleetd.brokers.sql.driver import ANSWER_WITHIN, CONNECT_WITHIN, TOO_SLOW, no_table, unreachable, words_of
from fleetd.brokers.sql.parameters import Statement, Style
from fleetd.errors import FleetdError

_STEPS = 10_000  # of SQLite's machine between two looks at the clock: about a millisecond


class Sqlite:
    """The driver of one file.  A connection lasts for one read, so that a file put in its place is seen."""

    style = Style.SQLITE
    keeps = False

    def __init__(self, url: str) -> None:
        """`sqlite:///relative` or `sqlite:////absolute`."""
        self._path = Path(unquote(url.partition(":///")[2].partition("?")[0]))
        self.label = f"SQLite {self._path}"

    def connect(self) -> sqlite3.Connection:
        """Open the file; whether it is a database shows at the first statement."""
        if not self._path.exists():
            raise unreachable(self.label, "there is no such file")
        try:
            return sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=ro",
                uri=True,
                timeout=CONNECT_WITHIN,  # for a writer's lock
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._explained(error) from None

    def ask(self, connection: sqlite3.Connection, statements: Sequence[Statement]) -> list[Any]:
        """The answers, in one transaction, which ends with the connection."""
        answers: list[Any] = []
        try:
            connection.execute("BEGIN")
            for statement in statements:
                connection.set_progress_handler(_is_over(time.monotonic() + ANSWER_WITHIN), _STEPS)
                answers += connection.execute(statement.text, statement.values).fetchone()
        except sqlite3.Error as error:
            raise self._explained(error) from None
        return answers

    def interrupt(self, connection: sqlite3.Connection) -> None:
        """End the statement under way."""
        with suppress(sqlite3.ProgrammingError):  # closed meanwhile
            connection.interrupt()

    def _explained(self, error: sqlite3.Error) -> FleetdError:
        words = words_of(error)
        if words.startswith("no such table: "):
            return no_table(self.label, words.removeprefix("no such table: "))
        known = {
            "interrupted": TOO_SLOW,
            "database is locked": f"a writer has held its lock for {CONNECT_WITHIN} s",
            "unable to open database file": "it cannot be opened: may the daemon's user read it, and its directory?",
        }
        if words in known:
            return unreachable(self.label, known[words])
        return FleetdError(f"{self.label}: {words}")


def _is_over(end: float) -> Callable[[], bool]:
    return lambda: time.monotonic() > end
