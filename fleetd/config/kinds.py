"""The kinds of single values: how each is read, named in the reference, and described by JSON Schema."""

# ruff: noqa: D102 - what noun, read and schema do is said once, by Kind

from __future__ import annotations

import math
import re
from typing import Any

from msgspec import Struct

from fleetd.config.durations import (
    DURATION_PATTERN,
    LARGEST,
    LONGEST,
    SIZE_PATTERN,
    format_duration,
    parse_duration,
    parse_size,
)
from fleetd.config.interpolation import Text
from fleetd.config.placeholders import check_placeholders
from fleetd.config.problems import Unfit
from fleetd.config.reader import Reader, kind_of, quoted
from fleetd.config.suggestions import nearest
from fleetd.config.tree import Node
from fleetd.core.alerts import Above, Unit
from fleetd.core.signals import NAMES as SIGNALS
from fleetd.core.signals import number_of
from fleetd.core.spec import Amount

NAME_PATTERN = r"[a-z0-9][a-z0-9_.-]{0,62}"
HOST_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_INTERPOLATED: dict[str, Any] = {"type": "string", "pattern": r"\$\{"}
_UMASK = r"(?:0o)?0?[0-7]{1,3}"
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _or_interpolated(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*schemas, _INTERPOLATED]}


class Line(Struct, frozen=True):
    """Any text; with `templated`, `{slot}` and its like are filled in at every spawn."""

    noun: str = "string"
    templated: bool = False
    empty: bool = False

    def read(self, node: Node, reader: Reader) -> Text:
        text = reader.text(node)
        if not text.value and not self.empty:
            raise Unfit("is empty", "leave the key out instead")
        if self.templated:
            check_placeholders(text.template)
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string"} if self.empty else {"type": "string", "minLength": 1}


class Matching(Struct, frozen=True):
    """Text of a fixed form; `secret`: it may hold a password, so that messages do not quote it."""

    noun: str
    pattern: str
    form: str  # what a person should write
    secret: bool = False

    def read(self, node: Node, reader: Reader) -> str:
        text = reader.text(node)
        return self.check(text.value, text.shown)

    def check(self, value: str, shown: str | None = None) -> str:
        """The value itself; raises Unfit, quoting it as `shown`."""
        if not re.fullmatch(self.pattern, value, re.ASCII):
            subject = "not" if self.secret else f"{quoted(value if shown is None else shown)} is not"
            raise Unfit(f"{subject} {self.noun}", self.form)
        return value

    def schema(self) -> dict[str, Any]:
        return _or_interpolated({"type": "string", "pattern": f"^(?:{self.pattern})$"})


NAME = Matching("a name", NAME_PATTERN, "use a-z, 0-9, _ . and -, first a letter or digit, at most 63")
HOST = Matching("a host name", HOST_PATTERN, "use letters, digits, _ . and -, first a letter or digit, at most 63")


def url(*schemes: str) -> Matching:
    """The kind of URLs with one of the schemes."""
    starts = "|".join(re.escape(scheme) for scheme in schemes)
    return Matching("a URL that fleetd knows", rf"(?:{starts})\S+", f"begin it with {', '.join(schemes)}", secret=True)


class OneOf(Struct, frozen=True):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def noun(self) -> str:
        return ", ".join(f'"{word}"' for word in self.words)

    def read(self, node: Node, reader: Reader) -> str:
        text = reader.text(node, f"one of {', '.join(self.words)}")
        if text.value not in self.words:
            near = nearest(text.value, self.words) if not text.interpolated else None
            hint = f"did you mean {near}?" if near else f"write one of {', '.join(self.words)}"
            raise Unfit(f"{quoted(text.shown)} is not known", hint)
        return text.value

    def schema(self) -> dict[str, Any]:
        return _or_interpolated({"enum": list(self.words)})


class Flag(Struct, frozen=True):
    """true or false."""

    noun: str = "true or false"

    def read(self, node: Node, reader: Reader) -> bool:
        if isinstance(node.value, bool):
            return node.value
        text = reader.text(node, "true or false")
        if not text.interpolated:
            raise Unfit(f"{quoted(text.shown)} is a string", "write true or false without quotes")
        if text.value not in {"true", "false"}:
            raise Unfit(f"{quoted(text.shown)} is neither true nor false")
        return text.value == "true"

    def schema(self) -> dict[str, Any]:
        return _or_interpolated({"type": "boolean"})


class Whole(Struct, frozen=True):
    """A whole number between two bounds; from the environment it comes as digits."""

    least: int = 0
    most: int = 1_000_000_000
    noun: str = "number"

    def read(self, node: Node, reader: Reader) -> int:
        value = node.value
        if isinstance(value, str):
            text = reader.text(node)
            if not text.interpolated:
                raise Unfit(f"{quoted(text.shown)} is a string, where a number is wanted", "write it without quotes")
            if not re.fullmatch(r"-?\d{1,18}", text.value, re.ASCII):
                raise Unfit(f"{quoted(text.shown)} does not give a whole number")
            value = int(text.value)
        if not isinstance(value, int) or isinstance(value, bool):
            what = "a fraction" if isinstance(value, float) else kind_of(value)
            raise Unfit(f"{what}, where a whole number is wanted")
        if value < self.least:
            raise Unfit("is too small", f"the least is {self.least}")
        if value > self.most:
            raise Unfit("is too large", f"the most is {self.most}")
        return value

    def schema(self) -> dict[str, Any]:
        return _or_interpolated({"type": "integer", "minimum": self.least, "maximum": self.most})


class Number(Struct, frozen=True):
    """A number, perhaps with a fraction."""

    least: float
    most: float
    noun: str = "number"

    def read(self, node: Node, reader: Reader) -> float:
        number: Any = node.value
        if isinstance(number, str):
            digits = reader.text(node).value
            number = float(digits) if re.fullmatch(r"\d+(?:\.\d+)?", digits, re.ASCII) else None
        if not _is_number(number):
            raise Unfit(f"{kind_of(node.value)}, where a number is wanted")
        value = float(number)
        if not self.least <= value <= self.most:
            raise Unfit("is out of range", f"write a number from {self.least:g} to {self.most:g}")
        return value

    def schema(self) -> dict[str, Any]:
        return _or_interpolated({"type": "number", "minimum": self.least, "maximum": self.most})


class Duration(Struct, frozen=True):
    """Seconds, or a text such as "1h30m"."""

    zero: bool = False
    noun: str = "duration"

    def read(self, node: Node, reader: Reader) -> float:
        value = node.value
        if isinstance(value, str):
            text = reader.text(node)
            try:
                value = parse_duration(text.value)
            except ValueError as error:
                raise Unfit(
                    f"{quoted(text.shown)} is {error}", 'write seconds, or text such as "90s", "1h30m"'
                ) from None
        if not _is_number(value):
            raise Unfit(
                f"{kind_of(value)}, where a duration is wanted", 'write seconds, or text such as "90s", "1h30m"'
            )
        if value < 0 or (value == 0 and not self.zero):
            raise Unfit("must not be negative" if self.zero else "must be more than 0")
        if value > LONGEST:
            raise Unfit("is longer than ten years", f"the most is {format_duration(LONGEST)}")
        return float(value)

    def schema(self) -> dict[str, Any]:
        bound = "minimum" if self.zero else "exclusiveMinimum"
        text = {"type": "string", "pattern": DURATION_PATTERN}
        return _or_interpolated({"type": "number", bound: 0, "maximum": LONGEST}, text)


class Size(Struct, frozen=True):
    """Bytes, or a text such as "512MiB"."""

    least: int = 1
    noun: str = "size"

    def read(self, node: Node, reader: Reader) -> int:
        value = node.value
        if isinstance(value, str):
            text = reader.text(node)
            try:
                value = parse_size(text.value)
            except ValueError as error:
                raise Unfit(
                    f"{quoted(text.shown)} is {error}", 'write bytes, or text such as "512MiB", "2GB"'
                ) from None
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit(f"{kind_of(value)}, where a size is wanted", 'write bytes, or text such as "512MiB", "2GB"')
        if not self.least <= value <= LARGEST:
            raise Unfit("is out of range", f"the least is {self.least} bytes")
        return value

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "pattern": SIZE_PATTERN}
        return _or_interpolated({"type": "integer", "minimum": self.least}, text)


class CountOrShare(Struct, frozen=True):
    """A count, or a share such as "25%"."""

    least: int = 0
    noun: str = "count or share"

    def read(self, node: Node, reader: Reader) -> Amount:
        if isinstance(node.value, str):
            text = reader.text(node)
            if match := _SHARE.fullmatch(text.value.strip()):
                share = float(match[1]) / 100
                if share > 1:
                    raise Unfit(f"{quoted(text.shown)} is more than all", 'the most is "100%"')
                if share == 0 and self.least:
                    raise Unfit("is too small", "write at least 1, or a share")
                return Amount(share=share) if share else Amount(0)
            if not text.interpolated:
                raise Unfit(f"{quoted(text.shown)} is neither a count nor a share", 'write 2, or "25%"')
        return Amount(Whole(self.least).read(node, reader))

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"}
        return _or_interpolated({"type": "integer", "minimum": self.least}, text)


class Threshold(Struct, frozen=True):
    """A number, a share such as "25%", or a duration such as "5m": which of them fits depends on what is compared."""

    noun: str = "number, share or duration"

    def read(self, node: Node, reader: Reader) -> Above:
        if not isinstance(node.value, str):
            return Above(Number(0, 1e12).read(node, reader))
        text = reader.text(node)
        if match := _SHARE.fullmatch(text.value.strip()):
            if float(match[1]) >= 100:  # noqa: PLR2004 - percent
                raise Unfit(f"{quoted(text.shown)} can never be exceeded", "write less than 100%")
            return Above(float(match[1]) / 100, Unit.SHARE)
        if re.fullmatch(r"\d{1,12}(?:\.\d{1,6})?", text.value.strip(), re.ASCII):
            if not text.interpolated:
                raise Unfit(f"{quoted(text.shown)} is a string, where a number is wanted", "write it without quotes")
            return Above(float(text.value))
        if not text.value.strip()[:1].isdecimal():
            raise Unfit(
                f"{quoted(text.shown)} is no threshold",
                'write a number, a share such as "5%", or a duration such as "10m"',
            )
        return Above(Duration(zero=True).read(node, reader), Unit.SECONDS)

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "pattern": rf"^\s*\d+(\.\d+)?\s*%\s*$|{DURATION_PATTERN}"}
        return _or_interpolated({"type": "number", "minimum": 0, "maximum": 1e12}, text)


class Signal(Struct, frozen=True):
    """The name of a signal, or its number."""

    noun: str = "signal"

    def read(self, node: Node, reader: Reader) -> int:
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            number, shown = number_of(str(node.value)), str(node.value)
        else:
            text = reader.text(node, "the name of a signal")
            number, shown = number_of(text.value), text.shown
        if number is None:
            raise Unfit(f"{quoted(shown)} is no signal", "write a name such as TERM, INT, QUIT or USR1")
        return number

    def schema(self) -> dict[str, Any]:
        names = {"type": "string", "pattern": rf"^(SIG)?({'|'.join(SIGNALS)}|RTMIN\+\d+|\d+)$"}
        return _or_interpolated(names, {"type": "integer", "minimum": 1, "maximum": 64})


class Umask(Struct, frozen=True):
    """Octal digits in quotes: as a number of TOML, 022 is not allowed and 22 would be decimal."""

    noun: str = "octal digits in quotes"

    def read(self, node: Node, reader: Reader) -> int:
        if not isinstance(node.value, str):
            raise Unfit(f"{kind_of(node.value)}, where octal digits are wanted", 'write them in quotes, as in "022"')
        text = reader.text(node)
        if not re.fullmatch(_UMASK, text.value, re.ASCII):
            raise Unfit(f"{quoted(text.shown)} is no umask", 'write octal digits, as in "022"')
        return int(text.value.removeprefix("0o"), 8)

    def schema(self) -> dict[str, Any]:
        return _or_interpolated({"type": "string", "pattern": f"^(?:{_UMASK})$"})


class Account(Struct, frozen=True):
    """A user or group, by name or number."""

    noun: str = "name or number"

    def read(self, node: Node, reader: Reader) -> str:
        if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 0:
            return str(node.value)
        text = reader.text(node, "a name")
        if not re.fullmatch(r"[^\s:/]+", text.value):
            raise Unfit(f"{quoted(text.shown)} is no name of a user or group")
        return text.value

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": r"^[^\s:/]+$"}, {"type": "integer", "minimum": 0}]}
