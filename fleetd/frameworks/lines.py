"""The output line scanner: what a worker's output tells of its jobs, found in bulk and in bounded memory.

Literals are looked for in a whole chunk at once; only a line in which one stands meets a regular expression.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from msgspec import Struct

from fleetd.core.moments import moment
from fleetd.core.spec import LineMeaning, LinePattern, Seconds
from fleetd.frameworks.expression import compiled
from fleetd.frameworks.possessive import is_anchored, written_out

LONGEST = 4096  # bytes of a line that are looked at; the rest of it is skipped
LONGEST_FOR_QUADRATIC = 1024  # the same, of a pattern that could take a quarter of a second for all of that
_LONGEST_TEXT = 255  # characters kept of an id, a name, a queue

# ECMA-48: control sequences, bounded so that half of one can be told from text at the end of a chunk; and ISO 2022.
_COLOUR = re.compile(rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|[()][0-9A-Za-z])")
_HALF_COLOUR = re.compile(rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}|[()])?\Z")

_COMMON = b" etaoinsrhldcumfpgwybvkxjqz0123456789:-./,_=" + bytes(range(65, 91))  # the most common byte first

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)
_AMOUNT = re.compile(r"([\d.]+) ?(ms|s|m|h|d)(?![a-z])", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class LineReport(Struct, frozen=True):
    """What one line tells; what it does not say is None.  `runtime` is in seconds, `enqueued_at` in Unix seconds."""

    meaning: LineMeaning
    id: str | None = None
    name: str | None = None
    queue: str | None = None
    runtime: Seconds | None = None
    enqueued_at: float | None = None


class _Form(Struct, frozen=True):
    """A pattern, ready for use: how a line is held against it, and the numbers of its groups (0: it has no such)."""

    meaning: LineMeaning
    find: Callable[[bytes, int, int], re.Match[bytes] | None]
    longest: int
    id: int
    name: int
    queue: int
    runtime: int
    enqueued_at: int

    def read(self, line: bytes) -> LineReport | None:
        """What the line tells; None if it is not of this form."""
        match = self.find(line, 0, self.longest)
        if match is None:
            return None
        runtime = _text(match, self.runtime) if self.runtime else None
        enqueued_at = _text(match, self.enqueued_at) if self.enqueued_at else None
        return LineReport(
            self.meaning,
            _text(match, self.id) if self.id else None,
            _text(match, self.name) if self.name else None,
            _text(match, self.queue) if self.queue else None,
            None if runtime is None else seconds(runtime),
            None if enqueued_at is None else moment(enqueued_at),
        )


class Patterns:
    """A pool's patterns, compiled once; shared by the scanners of all its runs."""

    def __init__(self, patterns: tuple[LinePattern, ...]) -> None:
        self._forms = [_form(pattern) for pattern in patterns]
        self._by_literal: dict[bytes, list[int]] = {}
        for at, pattern in enumerate(patterns):
            self._by_literal.setdefault(pattern.literal.encode(), []).append(at)
        self._by_rarest: dict[bytes, list[bytes]] = {}
        for literal in self._by_literal:
            self._by_rarest.setdefault(rarest(literal), []).append(literal)

    def read(self, line: bytes) -> LineReport | None:
        """What one line tells, given without its line feed; the first pattern that matches counts."""
        line = line[:LONGEST]
        return self._read(line, [at for literal, forms in self._by_literal.items() if literal in line for at in forms])

    def read_all(self, lines: bytes) -> Iterator[LineReport]:
        """What whole lines tell, in their order; each ends with a line feed.

        A single byte is looked for ten times faster than a text (memchr), so literals whose rarest byte is not there
        are not looked for.
        """
        ends: dict[int, int] = {}
        candidates: dict[int, list[int]] = {}
        for literal in (literal for byte, literals in self._by_rarest.items() if byte in lines for literal in literals):
            forms = self._by_literal[literal]
            end = 0
            while (hit := lines.find(literal, end)) >= 0:
                start = lines.rfind(b"\n", end, hit) + 1 or end
                end = lines.index(b"\n", hit) + 1
                if hit + len(literal) > start + LONGEST:
                    continue
                if start in ends:
                    candidates[start] = candidates[start] + forms
                else:
                    ends[start] = end - 1 if end - start <= LONGEST else start + LONGEST
                    candidates[start] = forms
        for start in sorted(ends):
            report = self._read(lines[start : ends[start]], candidates[start])
            if report:
                yield report

    def _read(self, line: bytes, candidates: list[int]) -> LineReport | None:
        """What a line tells that is not too long and has the literals of these patterns."""
        line = line.rstrip(b"\r")
        for at in candidates if len(candidates) == 1 else sorted(candidates):
            report = self._forms[at].read(line)
            if report is not None:
                return report
        return None


class Scanner:
    """Reads one stream of one run's output, in chunks that may end anywhere; keeps 4 KiB of a line at most."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self._begun = b""  # of a line that is not finished, without colours
        self._half = b""  # of a colour's code

    def feed(self, chunk: bytes) -> list[LineReport]:
        """What the lines that end in this chunk tell, in their order."""
        chunk = self._plain(chunk)
        first = chunk.find(b"\n")
        if first < 0:
            self._begun += chunk[: LONGEST - len(self._begun)]
            return []
        begun = self._patterns.read(self._begun + chunk[: min(first, LONGEST)])
        last = chunk.rfind(b"\n") + 1
        self._begun = chunk[last : last + LONGEST]
        reports = [begun] if begun else []
        reports += self._patterns.read_all(chunk[first + 1 : last])
        return reports

    def _plain(self, chunk: bytes) -> bytes:
        """The chunk without colours; a code that it ends in the middle of is kept for the next one."""
        if not self._half and b"\x1b" not in chunk:
            return chunk
        chunk = self._half + chunk
        half = _HALF_COLOUR.search(chunk, max(0, len(chunk) - 40))
        self._half = half[0] if half else b""
        return _COLOUR.sub(b"", chunk[: len(chunk) - len(self._half)])


def rarest(literal: bytes) -> bytes:
    """The byte of a literal that output is least likely to hold: marks before capitals before letters and digits."""
    return bytes([max(literal, key=lambda byte: (_COMMON.find(byte) < 0, _COMMON.find(byte)))])


def seconds(text: str) -> Seconds | None:
    """A runtime as frameworks write it: "0.3", "12.34ms", "1,234.56ms", "1m 2s 345ms", "0:00:01.5"; None if not one."""
    text = text.replace(",", "")
    try:
        runtime = _amount(text) if text[-1:].islower() else _bare(text)
    except ValueError:
        return None
    return runtime if 0 <= runtime < math.inf else None


def _bare(text: str) -> Seconds:
    """Of a text that does not end in a unit; one may be in it all the same.  Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        clock = _CLOCK.fullmatch(text)
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3]) if clock else _amount(text)


def _amount(text: str) -> Seconds:
    """Of a text with units.  Raises ValueError."""
    amounts = [float(number) * _UNITS[unit] for number, unit in _AMOUNT.findall(text)]
    return round(sum(amounts), 6) if amounts else math.nan


def _form(pattern: LinePattern) -> _Form:
    regex = compiled(written_out(pattern.regex).encode())
    numbers = {name: regex.groupindex.get(name, 0) for name in ("id", "name", "queue", "runtime", "enqueued_at")}
    # A search tries every place of a line, even where the pattern can match at its beginning only.
    find = regex.match if is_anchored(pattern.regex) else regex.search
    return _Form(pattern.meaning, find, LONGEST_FOR_QUADRATIC if pattern.quadratic else LONGEST, **numbers)


@lru_cache(256)  # classes of jobs and queues, above all
def _unescaped(text: str) -> str:
    """What stands in a string of JSON; where the line was no JSON after all, the text stands for itself."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def _text(match: re.Match[bytes], group: int) -> str | None:
    """A group's text, safe to show: no control characters, bounded; None if it is empty."""
    raw = match[group]
    if not raw:
        return None
    text = raw.decode(errors="replace").strip()
    if "\\" in text and match.string.startswith(b"{"):
        text = _unescaped(text)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return text[:_LONGEST_TEXT] or None
