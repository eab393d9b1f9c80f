"""The values of a pool file with the place of each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fleetd.config.positions import Path, positions
from fleetd.config.problems import Problem, Where

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")

# What tomllib says, by its beginning, and what a person is told.  Its own words may quote the file.
_SYNTAX = {
    "Expected '=' after a key": "a key without = and a value",
    "Expected ']' at the end of a table": "a table header without its ]",
    "Expected ']]' at the end of an array": "a table header without its ]]",
    "Expected newline or end of document": "something follows the value on its line",
    "Expected": "a line that is neither KEY = VALUE nor [TABLE]",
    "Cannot declare": "a table is defined twice",
    "Cannot overwrite a value": "a key is defined twice",
    "Cannot mutate": "a key or table is defined twice",
    "Cannot redefine": "a key or table is defined twice",
    "Cannot override": "a key or table is defined twice",
    "Duplicate inline table key": "a key is defined twice",
    "Invalid value": "the value is missing or malformed; text needs quotes",
    "Invalid initial character for a key": "a key has to begin with a letter, a digit, _ or -",
    "Invalid statement": "a line that is neither KEY = VALUE nor [TABLE]",
    "Invalid date": "the date is malformed",
    "Unclosed array": "an array without its ]",
    "Unclosed inline table": "an inline table without its }",
    "Unterminated string": "a string without its closing quote",
    "Unescaped '\\' in a string": "a backslash that begins no known escape; single quotes take it as it is",
    "Invalid hex value": "a malformed \\u escape",
    "Escaped character": "a malformed \\u escape",
    "Found invalid character": "a character that must not stand here",
    "Illegal character": "a line break or control character in a string",
}


class Node(Struct, frozen=True):
    """A value: a dict of Nodes, a list of Nodes, or what a TOML scalar is in Python."""

    where: Where
    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        """The key path as people write it."""
        return dotted(self.path)

    def problem(self, message: str, remedy: str = "") -> Problem:
        """A Problem with this value."""
        return Problem(self.where, self.key, message, remedy)

    def within(self, *path: str) -> Node:
        """The Node at a path below this one, or as near to it as there is one."""
        node = self
        for part in path:
            if isinstance(node.value, dict) and part in node.value:
                node = node.value[part]
            elif isinstance(node.value, list) and part.isdecimal() and int(part) < len(node.value):
                node = node.value[int(part)]
            else:
                break
        return node


def dotted(path: tuple[str, ...]) -> str:
    """A key path as TOML writes it: a part with a dot or a space in it is quoted."""
    return ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in path)


def parse(text: str, file: str) -> Node | Problem:
    """The tree of a TOML text, or why it is none (a message that quotes nothing of the text)."""
    try:
        return _node(tomllib.loads(text), positions(text), file, (), ())
    except tomllib.TOMLDecodeError as error:
        return _syntax_problem(str(error), text, file)
    except RecursionError:
        return Problem(Where(file), "", "not valid TOML: arrays or tables are nested too deeply")
    except ValueError:  # Python's limit on the digits of a number
        return Problem(Where(file), "", "not valid TOML: a number has too many digits")


def merged(over: Node, under: Node) -> Node:
    """`over`, with what only `under` has added; tables merge key by key, all else is replaced whole."""
    if not (isinstance(over.value, dict) and isinstance(under.value, dict)):
        return over
    value = dict(under.value)
    for key, node in over.value.items():
        value[key] = merged(node, value[key]) if key in value else node
    return replace(over, value=value)


def _node(value: Any, lines: Mapping[Path, int], file: str, at: Path, shown: tuple[str, ...]) -> Node:
    where = Where(file, lines.get(at, 0))
    if isinstance(value, dict):
        return Node(where, shown, {k: _node(v, lines, file, (*at, k), (*shown, k)) for k, v in value.items()})
    if isinstance(value, list):
        tables = all(isinstance(each, dict) for each in value)
        last = shown[-1] if shown else ""
        names = [(*shown[:-1], last, str(number)) if tables else shown for number in range(1, len(value) + 1)]
        return Node(where, shown, [_node(v, lines, file, (*at, n), names[n]) for n, v in enumerate(value)])
    return Node(where, shown, value)


def _syntax_problem(error: str, text: str, file: str) -> Problem:
    match = _AT.search(error)
    line = int(match[1]) if match and match[1] else text.count("\n") + 1
    said = next((ours for theirs, ours in _SYNTAX.items() if error.startswith(theirs)), "a line that is not TOML")
    if error.startswith("Cannot declare"):
        lines = [each.split("#")[0].strip() for each in text.splitlines()]
        header = lines[line - 1]
        first = lines.index(header) + 1
        if first < line:
            return Problem(Where(file, line), header.strip("[] "), f"defined twice, first at {file}:{first}")
    return Problem(Where(file, line), "", f"not valid TOML: {said}")
