"""The scanner: every line once, however the output is cut into chunks, in bounded memory and linear time."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.core.spec import LineMeaning, LinePattern
from fleetd.frameworks.framework import builtin, builtin_names
from fleetd.frameworks.lines import LONGEST, LineReport, Patterns, Scanner, rarest, seconds

DONE = LineMeaning.DONE
PATTERNS = Patterns(
    (
        LinePattern(LineMeaning.STARTED, "start ", r"^start (?P<id>\w+)"),
        LinePattern(DONE, " done", r"^(?P<id>\w+) done(?: in (?P<runtime>\S+))?$"),
        LinePattern(LineMeaning.FAILED, "done", r"not done"),
    )
)
LINES = st.sampled_from(
    [
        b"start a",
        b"a done in 5ms",
        b"\x1b[1;33mb\x1b[0m\x1b[39m done",
        b"c \x1b[1mdone\x1b[0m\r",
        b"not done",
        b"",
        b"\x1b",
        b"\x1b[38;5",
        b"noise start",
        b"x" * (LONGEST - 5) + b" done",
        b"x" * (LONGEST - 3) + b" done",
        b"start " + b"y" * LONGEST,
        b"\xff\xfe done",
    ]
)


def scan(text: bytes, cuts: list[int]) -> list[LineReport]:
    scanner = Scanner(PATTERNS)
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [report for start, end in itertools.pairwise(edges) for report in scanner.feed(text[start:end])]


@given(st.lists(LINES, max_size=12), st.lists(st.integers(0, 10**6), max_size=12))
def test_any_chunking_gives_the_same_reports(lines: list[bytes], cuts: list[int]) -> None:
    text = b"\n".join(lines)

    assert scan(text, cuts) == scan(text, [])


@given(st.lists(LINES, max_size=6))
def test_a_text_given_byte_by_byte_gives_the_same_reports(lines: list[bytes]) -> None:
    text = b"".join(line + b"\n" for line in lines)

    assert scan(text, list(range(len(text)))) == [
        report for line in lines for report in Scanner(PATTERNS).feed(line + b"\n")
    ]


def test_a_line_counts_when_it_ends() -> None:
    scanner = Scanner(PATTERNS)

    assert scanner.feed(b"start a\nstart") == [LineReport(LineMeaning.STARTED, "a")]
    assert scanner.feed(b" b") == []
    assert scanner.feed(b"\n") == [LineReport(LineMeaning.STARTED, "b")]
    assert scanner.feed(b"\n") == []


def test_an_endless_line_takes_no_memory_and_hides_nothing_after_it() -> None:
    scanner = Scanner(PATTERNS)

    for _ in range(64):
        assert scanner.feed(b"z" * 65536) == []

    assert len(scanner._begun) == LONGEST
    assert scanner.feed(b" done\nstart a\n") == [LineReport(LineMeaning.STARTED, "a")]


def test_names_are_safe_to_show() -> None:
    patterns = Patterns((LinePattern(DONE, "done ", r"^done (?P<name>.*)"),))

    assert Scanner(patterns).feed(b"done a\x07\xffb\n") == [LineReport(DONE, None, "a\ufffd\ufffdb")]
    assert Scanner(patterns).feed(b"done " + b"n" * 4000 + b"\n") == [LineReport(DONE, None, "n" * 255)]


@pytest.mark.parametrize(
    ("text", "runtime"),
    [
        ("0.3", 0.3),
        ("12.34ms", 0.01234),
        ("1,234.56ms", 1.23456),
        ("1m 2s 345ms", 62.345),
        ("2h", 7200),
        ("0:00:01.5", 1.5),
        ("1e-05", 1e-05),
        ("12.5s #4", 12.5),
        ("1m 30", 60.0),
        ("5.", 5.0),
        ("...", None),
        ("1.2.3ms", None),
        ("nan", None),
        ("", None),
    ],
)
def test_runtimes_are_read_as_seconds(text: str, runtime: float | None) -> None:
    assert seconds(text) == runtime


def test_a_line_may_tell_when_its_job_was_enqueued() -> None:
    patterns = Patterns((LinePattern(LineMeaning.STARTED, "start", r"^start (?P<id>\w+)(?: (?P<enqueued_at>\S+))?$"),))

    reports = Scanner(patterns).feed(
        b"start a 2026-09-21T14:15:00Z\nstart b soon\nstart c\nstart d 0\nstart e 1790000100000000\n"
    )

    assert [(report.id, report.enqueued_at) for report in reports] == [
        ("a", 1790000100.0), ("b", None), ("c", None), ("d", None), ("e", 1790000100.0),
    ]  # fmt: skip


def hostile(size: int) -> list[bytes]:
    """Lines made to lead the shipped patterns astray: a good beginning, then a long run of what a repeat may take."""
    beginnings = [
        b"",
        b"[2026-11-23 18:10:47][",
        b"[2026-11-23 18:10:47][id] Processing: ",
        b"  2026-08-21 10:11:12 ",
        b"  2026-08-21 10:11:12 App\\Jobs\\X ",
        b"  2026-08-21 10:11:12 X [redis ",
        b'{"level":"',
        b'{"level":"info","id":"',
        b'{"id":"x","job":"J","status":"success"',
        b"18:16:23 Worker ",
        b"18:16:23 Worker h: q: ",
        b"18:16:23 q: f ",
        b"[2026-11-23 18:19:02,242: INFO/MainProcess] ",
        b"[t: INFO/MainProcess] Task a[",
        b"pid=1 tid=2 jid=3 ",
        b'{"ts":1,"pid":1,"tid":"x","lvl":"INFO","msg":"done","ctx":{',
        b"[t] [PID 1] [x] [dramatiq.worker.WorkerThread] [DEBUG] Received message f(",
    ]
    fillers = [
        b"a",
        b" ",
        b".",
        b"]",
        b"[",
        b" (",
        b"a ",
        b"1",
        b": ",
        b" a:",
        b'"',
        b'"a":"b",',
        b"class=a::",
        b"1ms ",
    ]
    lines = [start + filler * (size // len(filler)) for start in beginnings for filler in fillers]
    return [line[:size] for line in lines]


@pytest.mark.parametrize("name", builtin_names())
def test_shipped_patterns_take_linear_time(name: str) -> None:
    framework = builtin(name)
    assert framework is not None
    texts = [pattern.literal.encode() for pattern in framework.patterns]

    def slowest(size: int) -> float:
        worst = 0.0
        for line in hostile(size):
            for literal in texts:
                # With a literal in it, so that its regular expression is tried, and an end that fails it.
                hit = line[: size // 2] + literal + line[: size // 2] + b"\x00"
                patterns = Patterns(tuple(each for each in framework.patterns if each.literal.encode() == literal))
                worst = max(worst, min(seconds_for(patterns, hit[:LONGEST]) for _ in range(2)))
        return worst

    # 4 KiB in linear time take some 20 microseconds, in quadratic time more than 50 milliseconds.
    assert slowest(LONGEST - 64) < 0.01


def seconds_for(patterns: Patterns, line: bytes) -> float:
    began = time.process_time()
    patterns.read(line)
    return time.process_time() - began


@pytest.mark.parametrize(
    ("literal", "byte"),
    [(b": Job OK (", b"("), (b"*** Listening on ", b"*"), (b" DONE", b"O"), (b"done 12", b"2"), (b"  ", b" ")],
)
def test_a_literal_is_looked_for_where_its_rarest_byte_is(literal: bytes, byte: bytes) -> None:
    assert rarest(literal) == byte
