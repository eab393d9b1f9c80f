"""The kinds of values that hold others: lists, commands, tables with fixed and with free keys."""

# ruff: noqa: D102 - what noun, read and schema do is said once, by Kind

from __future__ import annotations

import re
import shlex
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fleetd.config.durations import SIZE_PATTERN, parse_size
from fleetd.config.interpolation import Text
from fleetd.config.kinds import Line
from fleetd.config.problems import Unfit
from fleetd.config.reader import Kind, Reader, kind_of, quoted
from fleetd.config.suggestions import nearest
from fleetd.config.tree import Node

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OURS = re.compile(r"FLEETD_\w+|NOTIFY_SOCKET|WATCHDOG_(?:USEC|PID)", re.ASCII)
_CPUS = re.compile(r"\d{1,4}(?:-\d{1,4})?(?:\s*,\s*\d{1,4}(?:-\d{1,4})?)*", re.ASCII)
_LIMITS = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue",
    "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
_UNLIMITED = -1
_MOST_CPUS = 4096


class Apply(StrEnum):
    """How a changed key takes effect on `fleetd reload`."""

    LIVE = "live"
    ROLL = "roll"
    FLAG = "live, or roll where it is a flag of the framework"
    START = "at the next start of the daemon"


class Later(StrEnum):
    """What this version makes of a key that it does not do yet."""

    DONE = "done"
    REFUSED = "refused"


class Key(Struct, frozen=True):
    """One key of the pool file: all that parsing, the reference and the JSON Schema need to know."""

    name: str
    kind: Kind
    default: str  # as the reference says it
    meaning: str
    apply: Apply = Apply.LIVE
    later: Later = Later.DONE
    harmless: tuple[Any, ...] = ()  # the values of a later key that this version does do
    required: bool = False


class ListOf(Struct, frozen=True):
    """A list of values of one kind; with `single`, one value may stand alone."""

    kind: Kind
    noun: str
    single: bool = False
    distinct: bool = False

    def read(self, node: Node, reader: Reader) -> tuple[Any, ...]:
        if self.single and not isinstance(node.value, list):
            return (self.kind.read(node, reader),)
        if not isinstance(node.value, list):
            raise Unfit(f"{kind_of(node.value)}, where a list is wanted", "put it in [ ]")
        values = [value for value in (reader.read(each, self.kind) for each in node.value) if value is not None]
        if self.distinct and len(set(values)) < len(values):
            raise Unfit("names something twice")
        return tuple(values)

    def schema(self) -> dict[str, Any]:
        items = {"type": "array", "items": self.kind.schema()}
        return {"anyOf": [items, self.kind.schema()]} if self.single else items


class Command(Struct, frozen=True):
    """Arguments, or a string that is split as a shell splits words (a `${NAME}` in it stays within its word)."""

    templated: bool = True
    noun: str = "list of strings, or string"

    def read(self, node: Node, reader: Reader) -> tuple[Text, ...]:
        if isinstance(node.value, str):
            words = [replace(node, value=word) for word in _split(node.value)]
        elif isinstance(node.value, list):
            words = node.value
        else:
            raise Unfit(f"{kind_of(node.value)}, where a command is wanted", "write a list of strings, or one string")
        if not words:
            raise Unfit("is empty", "write the program and its arguments")
        kind = Line(templated=self.templated, empty=True)
        texts = [reader.read(word, kind) for word in words]
        if texts[0] is not None and not texts[0].value:
            raise Unfit("the name of the program is empty")
        return tuple(text for text in texts if text is not None)

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1}
        return {"anyOf": [text, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


def _split(command: str) -> list[str]:
    """The words of a command; `${NAME:-two words}` is never cut."""
    references: list[str] = []

    def hide(match: re.Match[str]) -> str:
        references.append(match[0])
        return f"\ue000{len(references) - 1}\ue001"

    try:
        words = shlex.split(re.sub(r"\$?\$\{[^}]*\}", hide, command))
    except ValueError:
        raise Unfit("a quote or backslash is not closed", "close it, or write the command as a list") from None
    return [re.sub("\ue000(\\d+)\ue001", lambda match: references[int(match[1])], word) for word in words]


class Environment(Struct, frozen=True):
    """Variables for the workers."""

    noun: str = "table of strings"

    def read(self, node: Node, reader: Reader) -> dict[str, Text]:
        found: dict[str, Text] = {}
        for name, each in _table(node).items():
            if not _VARIABLE.fullmatch(name):
                reader.problem(each, "is no name of a variable", "use letters, digits and _, first no digit")
            elif _OURS.fullmatch(name):
                reader.problem(each, "is set by fleetd itself", "take it out")
            elif (text := reader.read(_as_text(each), Line(templated=True, empty=True))) is not None:
                found[name] = text
        return found

    def schema(self) -> dict[str, Any]:
        names = {"pattern": rf"^(?!(?:{_OURS.pattern})$){_VARIABLE.pattern}$"}
        return {
            "type": "object",
            "propertyNames": names,
            "additionalProperties": {"type": ["string", "integer", "boolean"]},
        }


def _as_text(node: Node) -> Node:
    """A number or a boolean as the text that a program would be given."""
    if isinstance(node.value, bool):
        return replace(node, value="true" if node.value else "false")
    return replace(node, value=str(node.value)) if isinstance(node.value, int) else node


class Options(Struct, frozen=True):
    """The framework's own settings; which there are is checked once the framework is known."""

    noun: str = "table"

    def read(self, node: Node, reader: Reader) -> dict[str, Text | int | bool]:
        found: dict[str, Text | int | bool] = {}
        for name, each in _table(node).items():
            if isinstance(each.value, int):
                found[name] = each.value
            elif (text := reader.read(each, Line(templated=True, empty=True))) is not None:
                found[name] = text
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}


class Limits(Struct, frozen=True):
    """Resource limits by their names in prlimit(1); -1 is unlimited."""

    noun: str = "table of numbers"

    def read(self, node: Node, reader: Reader) -> tuple[tuple[str, int], ...]:
        found: dict[str, int] = {}
        for name, each in _table(node).items():
            if name not in _LIMITS:
                near = nearest(name, _LIMITS)
                reader.problem(
                    each, "unknown limit", f"did you mean {near}?" if near else f"there are {' '.join(_LIMITS)}"
                )
                continue
            try:
                found[name] = _limit(each, reader)
            except Unfit as unfit:
                reader.problem(each, unfit.message, unfit.remedy)
        return tuple(sorted(found.items()))

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "pattern": rf"^(unlimited|infinity|.*\$\{{.*)$|{SIZE_PATTERN}"}
        value = {"anyOf": [{"type": "integer", "minimum": 0}, text]}
        return {"type": "object", "properties": dict.fromkeys(_LIMITS, value), "additionalProperties": False}


def _limit(node: Node, reader: Reader) -> int:
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        if node.value < 0:
            raise Unfit("must not be negative", 'write "unlimited" where that is meant')
        return node.value
    text = reader.text(node, "a number")
    if text.value in {"unlimited", "infinity"}:
        return _UNLIMITED
    try:
        return parse_size(text.value)
    except ValueError:
        raise Unfit(
            f"{quoted(text.shown)} is no limit", 'write a number, a size such as "2GiB", or "unlimited"'
        ) from None


class Cpus(Struct, frozen=True):
    """The processors that a worker may run on."""

    noun: str = 'list of numbers, or "0-3,8"'

    def read(self, node: Node, reader: Reader) -> tuple[int, ...]:
        if isinstance(node.value, list):
            cpus = [each.value for each in node.value]
            if not cpus or not all(isinstance(cpu, int) and not isinstance(cpu, bool) for cpu in cpus):
                raise Unfit("must be a list of processor numbers", 'as in [0, 1], or "0-3,8"')
        else:
            text = reader.text(node, "a list of processors")
            if not _CPUS.fullmatch(text.value.strip()):
                raise Unfit(f"{quoted(text.shown)} is no list of processors", 'write [0, 1], or "0-3,8"')
            cpus = []
            for part in text.value.split(","):
                first, _, last = part.strip().partition("-")
                cpus += range(int(first), int(last or first) + 1)
        if not cpus or not all(0 <= cpu < _MOST_CPUS for cpu in cpus):
            raise Unfit("names a processor that there cannot be", "they are numbered from 0")
        return tuple(sorted(set(cpus)))

    def schema(self) -> dict[str, Any]:
        numbers = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
        return {"anyOf": [numbers, {"type": "string", "pattern": rf"^\s*{_CPUS.pattern}\s*$|\$\{{"}]}


class TableOf(Struct, frozen=True):
    """A table with fixed keys."""

    keys: tuple[Key, ...]
    noun: str = "table"

    def tidied(self, node: Node, reader: Reader) -> Node:
        """The table with its keys in kebab-case; unknown keys and double spellings are noted and left out."""
        known = {key.name: key for key in self.keys}
        tidy: dict[str, Node] = {}
        for written, each in _table(node).items():
            name = written.replace("_", "-")
            if name not in known:
                near = nearest(written, known)
                reader.problem(each, "unknown key", f"did you mean {near}?" if near else "fleetd schema lists the keys")
            elif name in tidy:
                both = f"{name} and {name.replace('-', '_')}"
                reader.problem(each, f"the same key is given twice, as {both}", f"keep {name}")
            else:
                kind = known[name].kind
                tidy[name] = (
                    kind.tidied(each, reader) if isinstance(kind, TableOf) and isinstance(each.value, dict) else each
                )
        return replace(node, value=tidy)

    def read(self, node: Node, reader: Reader) -> dict[str, Any]:
        """The values by key; a key that is absent or does not fit is left out."""
        _table(node)
        found: dict[str, Any] = {}
        for key in self.keys:
            each = node.value.get(key.name)
            if each is None:
                if key.required:
                    reader.problem(node, f"{key.name} is missing", "add it")
                continue
            value = reader.read(each, key.kind)
            if value is None:
                continue
            found[key.name] = value
            if key.later is not Later.DONE and value not in key.harmless:
                what = f'"{value}"' if key.harmless and isinstance(value, str) else ""
                reader.later(each, refuses=key.later is Later.REFUSED, what=what)
        return found

    def schema(self) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for key in self.keys:
            described = {"description": f"{key.meaning} Default: {key.default}."} | key.kind.schema()
            properties[key.name] = described
            if "-" in key.name:
                properties[key.name.replace("-", "_")] = {"description": f"The same as {key.name}."} | key.kind.schema()
        required = [key.name for key in self.keys if key.required]
        schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        return schema | ({"required": required} if required else {})


def _table(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        raise Unfit(f"{kind_of(node.value)}, where a table is wanted")
    table: dict[str, Node] = node.value
    return table
