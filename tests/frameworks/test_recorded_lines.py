"""Lines as the frameworks' older and newer versions print them, each read as what it means: tests/frameworks/lines."""

from __future__ import annotations

import pytest

from fleetd.core.spec import LinePattern
from fleetd.frameworks.framework import builtin, builtin_names
from fleetd.frameworks.lines import Patterns, Scanner
from tests.support.recorded_lines import RECORDED, Recorded

LINES = [pytest.param(line, id=f"{line.framework}-{at}") for at, line in enumerate(RECORDED)]


def patterns(name: str) -> tuple[LinePattern, ...]:
    framework = builtin(name)
    assert framework is not None
    return framework.patterns


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read_as_what_it_means(line: Recorded) -> None:
    assert line.version
    assert line.source

    reports = Scanner(Patterns(patterns(line.framework))).feed(line.text.encode() + b"\r\n")

    assert reports == ([] if line.means is None else [line.means])


@pytest.mark.parametrize("name", sorted({line.framework for line in RECORDED}))
def test_every_pattern_reads_a_line_that_is_recorded(name: str) -> None:
    def reader(text: bytes) -> int | None:
        """The first pattern that makes a report of the line."""
        upto = (at for at in range(len(patterns(name))) if Patterns(patterns(name)[: at + 1]).read(text))
        return next(upto, None)

    readers = {reader(line.text.encode()) for line in RECORDED if line.framework == name}

    assert readers - {None} == set(range(len(patterns(name))))


def test_every_framework_with_patterns_has_recorded_lines() -> None:
    assert {line.framework for line in RECORDED} == {name for name in builtin_names() if patterns(name)}
