"""What is wrong with the pool files, one line each: file, line, key, what, and what to do."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Where(Struct, frozen=True, order=True):
    """A place in a pool file; line 0 is the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(Struct, frozen=True):
    """One thing that is wrong; prints as one line that never holds a value taken from the environment."""

    where: Where
    key: str  # "pool.media.max-jobs"; empty for the file as a whole
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: {self.key}" if self.key else str(self.where)
        remedy = f"; {self.remedy}" if self.remedy else ""
        return _printable(f"{place}: {self.message}{remedy}")


def _printable(text: str) -> str:
    """The text with control characters and line breaks escaped: keys and file names may hold any."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class NotYet(Struct, frozen=True):
    """A key that is understood but not done by this version; `refuses`: `start` does not start without it."""

    problem: Problem
    refuses: bool

    def __str__(self) -> str:
        return str(self.problem)


class Severity(StrEnum):
    """How much sense a valid configuration makes."""

    WARNING = "warning"  # it works, but perhaps not as meant
    ERROR = "error"  # it cannot work as meant: `fleetd check` exits 1


class Finding(Struct, frozen=True):
    """Something in a valid configuration that contradicts itself or is unsafe."""

    severity: Severity
    problem: Problem

    def __str__(self) -> str:
        return f"{self.severity}: {self.problem}"


class Unfit(Exception):  # noqa: N818 - a value that does not fit is not yet an error: the reader makes it a Problem
    """A value does not fit its key; raised by kinds, turned into a Problem by the reader."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
