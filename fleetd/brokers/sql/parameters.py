"""The queries of a framework file, put together for a server: one statement that answers all of them at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from msgspec import Struct

_PARAMETER = r"(?<![:\w]):(?P<name>queue|now|utcnow)\b"  # what follows another colon is a cast
_COMMENT = r"/\*.*?\*/"


class Style(Enum):
    """What no parameter is looked for in (quoted text and comments), and how a driver marks a parameter."""

    SQLITE = (r"'(?:[^']|'')*'", r'"(?:[^"]|"")*"', r"`[^`]*`", r"\[[^\]]*\]", r"--[^\n]*", _COMMENT)
    POSTGRESQL = (
        r"\b[eE]'(?:[^'\\]|\\.|'')*'",
        r"'(?:[^']|'')*'",
        r'"(?:[^"]|"")*"',
        r"\$(?P<tag>\w*)\$.*?\$(?P=tag)\$",
        r"--[^\n]*",
        _COMMENT,
    )
    MYSQL = (r"'(?:[^'\\]|\\.|'')*'", r'"(?:[^"\\]|\\.|"")*"', r"`[^`]*`", r"--(?=\s)[^\n]*", r"#[^\n]*", _COMMENT)

    @property
    def scanner(self) -> re.Pattern[str]:
        """Finds quoted text, comments and parameters, whichever comes first."""
        return re.compile("|".join((*self.value, _PARAMETER)), re.DOTALL)

    def marked(self, name: str) -> str:
        """A parameter as the driver wants it."""
        return f":{name}" if self is Style.SQLITE else f"%({name})s"

    def plain(self, text: str) -> str:
        """Text that is no parameter, as the driver wants it."""
        return text if self is Style.SQLITE else text.replace("%", "%%")


class Question(Struct, frozen=True):
    """A query that answers one value, and the queue it is about."""

    query: str
    queue: str


class Statement(Struct, frozen=True):
    """A statement with one column for each question, in their order."""

    text: str
    values: Mapping[str, Any]


def together(questions: Sequence[Question], style: Style, now: float) -> Statement:
    """One statement for all questions at the time `now` (Unix seconds).

    A question without a row is answered by NULL.
    """
    values: dict[str, Any] = {"now": int(now), "utcnow": _timestamp(now, style)}
    names: dict[str, str] = {}  # of the parameter, by queue
    for question in questions:
        names.setdefault(question.queue, f"queue{len(names)}")
    values |= {name: queue for queue, name in names.items()}
    columns = [
        # The line's end is for a query that ends with a comment.
        f"({_converted(question.query, style, names[question.queue])}\n)"
        for question in questions
    ]
    return Statement("SELECT " + ", ".join(columns), values)


def _converted(query: str, style: Style, queue: str) -> str:
    """The query with its parameters marked, `queue` for :queue, and everything else as the server is to see it."""
    pieces: list[str] = []
    end = 0
    query = query.rstrip("; \t\n")
    for match in style.scanner.finditer(query):
        pieces.append(style.plain(query[end : match.start()]))
        name = match["name"]
        pieces.append(style.plain(match[0]) if name is None else style.marked(queue if name == "queue" else name))
        end = match.end()
    pieces.append(style.plain(query[end:]))
    return "".join(pieces)


def _timestamp(now: float, style: Style) -> str | datetime:
    """The time in UTC; SQLite has no type for it, and what libraries write there is text that sorts."""
    naive = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    return naive.isoformat(" ", "microseconds") if style is Style.SQLITE else naive
