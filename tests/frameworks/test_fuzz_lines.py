"""No line, however odd, raises, takes more than linear time, or is read otherwise when it comes in pieces.

The lines are those of tests/frameworks/lines, pulled about: pieces cut out, doubled, put into one another, with
colours, line ends, bytes that are no text, and the literals of patterns where none belong.
"""

from __future__ import annotations

import itertools
import random
import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetd.core.spec import LinePattern
from fleetd.frameworks.framework import builtin
from fleetd.frameworks.lines import LONGEST, LineReport, Patterns, Scanner
from tests.support.recorded_lines import RECORDED

NAMES = sorted({line.framework for line in RECORDED})
EXAMPLES = 12  # of each framework
MANY = 3000  # in `make test-full`
SLOWEST = 0.01  # seconds for one line: 4 KiB in linear time take some 50 microseconds, in quadratic time over 50 ms
ODD = [b"\x1b[1;31m", b"\x1b[0m", b"\x1b[", b"\x1b", b"\x1b(B", b"\r", b"\n", b"\r\n", b"\0", b"\xff\xfe", b"\xe2\x82"]


@cache
def patterns(name: str) -> tuple[LinePattern, ...]:
    framework = builtin(name)
    assert framework is not None
    return framework.patterns


@cache
def lines_of(name: str) -> list[bytes]:
    return [line.text.encode() for line in RECORDED if line.framework == name]


def pulled_about(name: str) -> st.SearchStrategy[bytes]:
    """A text of lines and parts of lines of a framework."""
    literals = sorted({pattern.literal.encode() for pattern in patterns(name)})
    line = st.sampled_from(lines_of(name))
    whole = line.map(lambda text: text + b"\n")
    cuts = st.tuples(st.integers(0, 200), st.integers(0, 200))
    piece = st.builds(lambda text, cut: text[min(cut) : max(cut)], line, cuts)
    odd = st.one_of(st.sampled_from(ODD), st.sampled_from(literals), st.binary(max_size=12), piece)
    many = st.builds(lambda part, times: part * times, odd, st.sampled_from([1, 1, 1, 1, 2, 30, LONGEST // 8]))
    put_in = st.builds(lambda text, part, at: text[:at] + part + text[at:] + b"\n", line, many, st.integers(0, 200))
    return st.lists(st.one_of(whole, put_in, many), max_size=14).map(b"".join)


def read(name: str, text: bytes, edges: list[int]) -> list[LineReport]:
    scanner = Scanner(Patterns(patterns(name)))
    places = [0, *sorted(edges), len(text)]
    return [report for start, end in itertools.pairwise(places) for report in scanner.feed(text[start:end])]


def judge(name: str, text: bytes, edges: list[int]) -> None:
    """The text in one piece, cut at some places, and a line at a time."""
    whole = read(name, text, [])
    places = [edge % (len(text) + 1) for edge in edges]
    assert read(name, text, places) == whole
    assert read(name, text, [at + 1 for at in range(len(text)) if text[at : at + 1] == b"\n"]) == whole
    for report in whole:
        fields = [field for field in (report.id, report.name, report.queue) if field is not None]
        assert all(field and field.isprintable() and len(field) <= 255 for field in fields)
        assert report.runtime is None or 0 <= report.runtime < float("inf")


EDGES = st.lists(st.integers(0, 10**6), max_size=8)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_odd_lines_are_read_alike_in_one_piece_and_in_many(name: str, data: st.DataObject) -> None:
    judge(name, data.draw(pulled_about(name)), data.draw(EDGES))


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=MANY)
@given(st.data())
def test_many_odd_lines_are_read_alike_in_one_piece_and_in_many(name: str, data: st.DataObject) -> None:
    judge(name, data.draw(pulled_about(name)), data.draw(EDGES))


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_line_may_be_cut_anywhere(name: str) -> None:
    """Also in the middle of the colours that a terminal would get."""
    shared = Patterns(patterns(name))
    for line in lines_of(name):
        middle = len(line) // 2
        coloured = b"\x1b[90m" + line[:middle] + b"\x1b[39;22m" + line[middle:] + b"\x1b[0m\n"
        whole = Scanner(shared).feed(line + b"\n")
        for at in range(len(coloured) + 1):
            scanner = Scanner(shared)
            assert scanner.feed(coloured[:at]) + scanner.feed(coloured[at:]) == whole, coloured[:at]


@pytest.mark.parametrize("name", NAMES)
def test_a_line_without_end_costs_little_and_hides_nothing(name: str) -> None:
    """1 MB that begins as a line does and goes on with what its patterns may repeat, none of it ending."""
    shared = Patterns(patterns(name))
    known = next(line.text.encode() for line in RECORDED if line.framework == name and line.means is not None)
    expected = Scanner(shared).feed(known + b"\n")
    assert expected
    block = 1 << 16
    for line, filler in itertools.product(lines_of(name), (b"a", b" ", b"a: ", b'"a":"b",', b"\x1b[", b"\xff")):
        endless = (line + filler * block)[:block]
        scanner = Scanner(shared)
        began = time.process_time()
        assert scanner.feed(endless) == []
        for _ in range(15 if line == known else 0):
            assert scanner.feed(endless[:block]) == []
        assert scanner.feed(b"\n" + known + b"\n")[-len(expected) :] == expected
        assert len(scanner._begun) <= LONGEST
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_odd_lines_take_linear_time(name: str) -> None:
    """Lines of 4 KiB: each recorded one with a piece of one in it that is repeated as often as there is room."""
    shared = Patterns(patterns(name))
    chance = random.Random(name)  # the same lines every time
    lines = lines_of(name)
    slowest = (0.0, b"")
    for line in lines:
        for _ in range(6):
            at, other = chance.randrange(len(line)), chance.choice(lines)
            start = chance.randrange(len(other))
            piece = other[start : start + chance.choice([1, 1, 2, 5, 40])]
            room = LONGEST - len(line)
            stretched = line[:at] + (piece * room)[:room] + line[at:]
            took = min(seconds_for(shared, stretched) for _ in range(2))
            slowest = max(slowest, (took, stretched))
    assert slowest[0] < SLOWEST, slowest[1]


def seconds_for(shared: Patterns, line: bytes) -> float:
    began = time.process_time()
    shared.read(line)
    return time.process_time() - began
