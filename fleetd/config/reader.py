"""Reading values: every problem is collected, none ends the reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Protocol

from msgspec import Struct, field

from fleetd.config.interpolation import Text, interpolate
from fleetd.config.problems import NotYet, Problem, Unfit
from fleetd.config.tree import Node

_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "a string"),
    (dict, "a table"),
    (list, "a list"),
    ((datetime, date, time), "a date or time"),
)
_SHOWN = 60


class Kind(Protocol):
    """What values a key takes."""

    @property
    def noun(self) -> str:
        """What the reference calls it."""
        ...

    def read(self, node: Node, reader: Reader) -> Any:
        """The value, never None; raises Unfit if it does not fit.  Lists and tables note what is in them themselves."""
        ...

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        ...


class Reader(Struct):
    """Collects the problems of one reading of the pool files."""

    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    not_yet: list[NotYet] = field(default_factory=list)

    def read(self, node: Node, kind: Kind) -> Any:
        """The value of a node, or None if it does not fit (which is then among the problems)."""
        try:
            return kind.read(node, self)
        except Unfit as unfit:
            self.problem(node, unfit.message, unfit.remedy)
            return None

    def problem(self, node: Node, message: str, remedy: str = "") -> None:
        """Note a problem; the same one is noted once."""
        self.add(node.problem(message, remedy))

    def add(self, problem: Problem) -> None:
        """Note a problem; the same one is noted once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def later(self, node: Node, *, refuses: bool, what: str = "") -> None:
        """Note that this version does not do something yet."""
        subject = f"{what} is " if what else ""
        remedy = "fleetd starts without it" if not refuses else "fleetd start refuses the file until it is taken out"
        note = NotYet(node.problem(f"{subject}not yet in this version", remedy), refuses)
        if note not in self.not_yet:
            self.not_yet.append(note)

    def text(self, node: Node, wanted: str = "a string") -> Text:
        """The text of a string; raises Unfit for anything else, and for one that no program could be given."""
        if not isinstance(node.value, str):
            raise Unfit(f"{kind_of(node.value)}, where {wanted} is wanted")
        text = interpolate(node.value, self.environ)
        if "\0" in text.value:
            raise Unfit("holds a NUL character, which no program can be given")
        return text


def kind_of(value: Any) -> str:
    """What a value is, in words ("a list")."""
    return next((words for types, words in _TYPES if isinstance(value, types)), "something else")


def quoted(shown: str) -> str:
    """A text as written, for a message: on one line, without control characters, not endless."""
    cut = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
    return json.dumps(cut, ensure_ascii=not cut.isprintable())
