"""The line of every key in a TOML text, which tomllib does not tell.

The text must be valid TOML: tomllib has read it before, so this scanner only has to follow, not to judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r"""
      \"{3} (?:[^\\] | \\.)*? \"{3,5}  # long, with escapes
    | '{3} .*? '{3,5}                   # long, literal
    | "(?:[^"\\\n] | \\.)*"             # short, with escapes
    | '[^'\n]*'                         # short, literal
    """,
    re.DOTALL | re.VERBOSE,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def positions(text: str) -> Mapping[Path, int]:
    """The line (from 1) of each key path; elements of arrays have their index in the path."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.counted_to = 0
        self.line = 1
        self.found: dict[Path, int] = {}
        self.lengths: dict[Path, int] = {}  # of arrays of tables

    def document(self) -> None:
        table: Path = ()
        self.skip()
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self.header()
            else:
                self.pair(table)
            self.skip()

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def here(self) -> int:
        self.line += self.text.count("\n", self.counted_to, self.at)
        self.counted_to = self.at
        return self.line

    def header(self) -> Path:
        line = self.here()
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        path = self.through_arrays(self.keys("]"), whole=brackets == 1)
        self.at += brackets
        if brackets == 2:  # noqa: PLR2004 - [[x]] opens one more element of an array
            index = self.lengths.get(path, 0)
            self.lengths[path] = index + 1
            self.found.setdefault(path, line)
            path = (*path, index)
        self.note(path, line)
        return path

    def through_arrays(self, keys: list[str], *, whole: bool) -> Path:
        """A header's path; what lies in an array of tables belongs to its newest element."""
        path: Path = ()
        for number, key in enumerate(keys):
            path = (*path, key)
            if path in self.lengths and (whole or number < len(keys) - 1):
                path = (*path, self.lengths[path] - 1)
        return path

    def note(self, path: Path, line: int) -> None:
        """A path and the tables on the way to it, which have no line of their own."""
        for length in range(1, len(path) + 1):
            self.found.setdefault(path[:length], line)

    def pair(self, table: Path) -> None:
        line = self.here()
        path = (*table, *self.keys("="))
        self.at += 1
        self.note(path, line)
        self.value(path)

    def keys(self, end: str) -> list[str]:
        found: list[str] = []
        while True:
            self.skip()
            character = self.text[self.at]
            if character == end:
                return found
            if character == ".":
                self.at += 1
            else:
                found.append(self.key())

    def key(self) -> str:
        match = _STRING.match(self.text, self.at) or _BARE_KEY.match(self.text, self.at)
        assert match is not None, "the text was not valid TOML"
        self.at = match.end()
        return _unquote(match[0])

    def value(self, path: Path) -> None:
        self.skip()
        opening = self.text[self.at]
        if opening == "[":
            self.array(path)
        elif opening == "{":
            self.inline_table(path)
        else:
            match = _STRING.match(self.text, self.at) or _BARE_VALUE.match(self.text, self.at)
            assert match is not None, "the text was not valid TOML"
            self.at = match.end()

    def array(self, path: Path) -> None:
        index = 0
        self.at += 1
        while self.more("]"):
            self.found[(*path, index)] = self.here()
            self.value((*path, index))
            index += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while self.more("}"):
            self.pair(path)

    def more(self, end: str) -> bool:
        """Go to the next element; past the end if there is none."""
        self.skip()
        while self.text[self.at] == ",":
            self.at += 1
            self.skip()
        if self.text[self.at] != end:
            return True
        self.at += 1
        return False


def _unquote(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    return _ESCAPE.sub(_unescape, key[1:-1]) if key.startswith('"') else key


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _ESCAPED.get(match[3], match[3])
