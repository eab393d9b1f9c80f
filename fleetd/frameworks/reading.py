"""Reading a table key by key: values of the right form, and every problem collected."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from fleetd.core.signals import number_of

T = TypeVar("T")

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII)
_UNITS = (86400, 3600, 60, 1)
_LONGEST = 10 * 365 * 86400  # seconds, as in pools
_MOST = 10**12  # more of anything is a slip
_MOST_SHOWN = 60  # characters of a wrong value


class Complaint(Struct, frozen=True):
    """What is wrong with a key of a table; `key` is relative to the table, lists count from 0 ("patterns.1.regex")."""

    key: str
    message: str


class WrongFormError(Exception):
    """A value has not the form that its key wants; the message says which it wants."""


class Table:
    """A TOML table that is read once: kebab-case and snake_case keys, with what is wrong in `complaints`."""

    def __init__(self, table: Mapping[str, Any], complaints: list[Complaint], prefix: str = "") -> None:
        """`prefix` is put before the keys in complaints; those of nested tables go into the same list."""
        self._values: dict[str, Any] = {}
        self._prefix = prefix
        self._complaints = complaints
        for key, value in table.items():
            plain = key.replace("_", "-")
            if plain in self._values:
                self.complain(key, f"is there twice, as {plain} and as {plain.replace('-', '_')}: keep one")
            self._values[plain] = value

    def complain(self, key: str, message: str) -> None:
        """Note a problem with a key."""
        self._complaints.append(Complaint(self._prefix + key, message))

    def take(self, key: str, form: Callable[[Any], T]) -> T | None:
        """The value of a key in its form; None if it is absent, or has another form (noted)."""
        if key not in self._values:
            return None
        try:
            return form(self._values[key])
        except WrongFormError as error:
            self.complain(key, str(error))
            return None

    def nested(self, key: str) -> Table | None:
        """A nested table; None if it is absent, or none (noted)."""
        table = self.take(key, mapping)
        return None if table is None else Table(table, self._complaints, f"{self._prefix}{key}.")

    def listed(self, key: str) -> list[Table]:
        """The tables of an array of tables."""
        tables = self.take(key, _tables) or ()
        return [Table(table, self._complaints, f"{self._prefix}{key}.{at}.") for at, table in enumerate(tables)]

    def require(self, *keys: str) -> None:
        """Note every key that is missing."""
        for key in keys:
            if key not in self._values:
                self.complain(key, "is missing")

    def keys(self) -> list[str]:
        """The keys, in kebab-case and in the order of the file."""
        return list(self._values)

    def refuse_others(self, known: Sequence[str]) -> None:
        """Note every key that is not known, with the nearest that is."""
        for key in self._values:
            if key not in known:
                import difflib  # noqa: PLC0415 - few tables have a mistake

                near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                self.complain(key, "is not known" + (f": did you mean {near[0]}?" if near else ""))


def shown(value: Any) -> str:
    """A value that is wrong, short enough for a message."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "such a number"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def text(value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise WrongFormError(f"must be text, not {shown(value)}")
    return value


def filled(value: Any) -> str:
    """Text that is not empty."""
    if not text(value):
        raise WrongFormError("must not be empty")
    return text(value)


def one_line(value: Any) -> str:
    """Text that is not empty and can stand in a line."""
    if "\n" in filled(value):
        raise WrongFormError("must not hold a line feed")
    return filled(value)


def whole(value: Any) -> int:
    """A whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongFormError(f"must be a whole number, not {shown(value)}")
    return value


def count(value: Any) -> int:
    """A whole number of at least 1."""
    if whole(value) < 1:
        raise WrongFormError(f"must be at least 1, not {shown(value)}")
    if value > _MOST:
        raise WrongFormError(f"must be at most {_MOST}")
    return whole(value)


def flag(value: Any) -> bool:
    """Either true or false."""
    if not isinstance(value, bool):
        raise WrongFormError(f"must be true or false, not {shown(value)}")
    return value


def exit_code(value: Any) -> int:
    """A number that a process can exit with; a key of a table is text."""
    is_short = isinstance(value, str) and value.isdecimal() and len(value) < 10  # noqa: PLR2004 - no code has more
    number = int(value) if is_short else whole(value)
    if not 0 <= number <= 255:  # noqa: PLR2004 - wait(2): eight bits
        raise WrongFormError(f"must be an exit code from 0 to 255, not {shown(value)}")
    return number


def signal(value: Any) -> int:
    """A signal's number, given by its name."""
    number = number_of(text(value))
    if number is None:
        raise WrongFormError(f"must be the name of a signal, such as TERM, not {shown(value)}")
    return number


def duration(value: Any) -> float:
    """Seconds: a number, or text such as "90s", "15m", "1h30m"."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return _bounded(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise WrongFormError(f'must be a duration such as 90, "90s" or "1h30m", not {shown(value)}')
    return _bounded(sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part))


def _bounded(seconds: float) -> float:
    if seconds > _LONGEST:
        raise WrongFormError("must not be longer than ten years")
    return float(seconds)


def mapping(value: Any) -> Mapping[str, Any]:
    """A table."""
    if not isinstance(value, Mapping):
        raise WrongFormError(f"must be a table, not {shown(value)}")
    return value


def several(form: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """A list of values of one form."""

    def read(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise WrongFormError(f"must be a list, not {shown(value)}")
        return tuple(form(item) for item in value)

    return read


def one_of(*choices: str) -> Callable[[Any], str]:
    """One of some words."""

    def read(value: Any) -> str:
        if value not in choices:
            raise WrongFormError(f"must be one of {', '.join(choices)}, not {shown(value)}")
        return text(value)

    return read


def _tables(value: Any) -> tuple[Mapping[str, Any], ...]:
    return several(mapping)(value)
