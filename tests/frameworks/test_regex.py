"""Which regular expressions of a user are refused, and that those that are not are fast."""

from __future__ import annotations

import re
import time

import pytest

from fleetd.frameworks.framework import builtin, builtin_names
from fleetd.frameworks.regex import degree, problems


@pytest.mark.parametrize(
    "expression",
    [
        r"(a+)+b",
        r"(?:a*)*",
        r"(?:a+){2,}",
        r"(?:a{1,5})+",
        r"(?:a?b)*c",
        r"(a|a)*b",
        r"(?:a|ab)+c",
        r"(?:\w|\d)+x",
        r"(?:|a)*b",
        r"(?P<name>(?:\w+\s?)*)$",
        r"((a+)?)+",
        r"(?:(?:a{2})+)+",
        r"(?:.+,)+x",
        r"^(?:(?!x)a|a)+$",
        r"^(?:(?<!x)a|a)+$",
        r"^(?:ab|[ab]b){30}c",
        r"^(?:\w\w|\d\d){2}x",
    ],
)
def test_what_could_take_exponential_time_is_refused(expression: str) -> None:
    assert any("nested quantifiers" in problem for problem in problems(expression))


@pytest.mark.parametrize(
    "expression",
    [
        r".*.*.*x",
        r"^.*a.*b.*c$",
        r".+:.+:.+!",
        r"^a+(?!b)a+(?!b)a+(?!b)a+c",
        r"^\w*\w*\w*!",
        r"^\w*\w*\w++!",
        r"^(?P<id>\w*)(?P<name>\w*)-?(?P<queue>\w*)!",
        r"\w*\w*!",
    ],
)
def test_what_could_take_cubic_time_is_refused(expression: str) -> None:
    assert any("too many repeats" in problem for problem in problems(expression))


@pytest.mark.parametrize(
    "expression",
    [
        r"^\w{1,30}\w{1,30}\w{1,30}\w{1,30}\w{1,30}!",
        r"^(?:\w{1,30}\w{1,30}\w{1,30}\w{1,30}-)?!",
        r"^(?=\w{1,30}\w{1,30}\w{1,30}\w{1,30}!)",
        "^" + "a?" * 25 + "a" * 25 + "!",
        "^" + "(?:ab|[ab]b)" * 20 + "c",
        r"^.*\w{1,9}\w.*!",
    ],
)
def test_short_repeats_that_can_share_a_text_in_very_many_ways_are_refused(expression: str) -> None:
    assert any("too many repeats" in problem for problem in problems(expression))


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        (r"(", "is no regular expression"),
        (r"(?P<jobs>a)", "has a group jobs"),
        (r"(a)\1", "refers back"),
        (r"(?x)a b", "may use only the groups"),
        (r"(?P<id>a)(?P=id)", "may use only the groups"),
        (r"(a)?(?(1)b|c)", "may use only the groups"),
    ],
)
def test_what_cannot_be_judged_is_refused(expression: str, complaint: str) -> None:
    assert any(complaint in problem for problem in problems(expression))


@pytest.mark.parametrize(
    "expression",
    [
        r"job (?P<id>\w+) took (?P<runtime>[\d.]+)s",
        r"^\[(?P<id>.+)\] done (?P<name>.*)$",
        r"^(?P<name>[^ ]++(?: [^ .\[][^ ]*+)*+) ok",
        r"(?:a|b)*c",
        r"(?:\d{2}:)+",
        r"[]a-z\]]+x",
        r"(?i:DONE) {1,3}x{2}",
        r"ok(?=\s)(?<!x)",
        r"\x41\101\{",
        r"ü+",
        r"a{,3}b{x}",
        r"^(?: (?!\d++(?:ms|m) )\w++)+$",
        r"^(?=.*id=(?P<id>\w+))(?=.*name=(?P<name>\w+)).* done",
        r"^(?P<queue>(?:[^ :]|:(?! ))+) (?P<name>(?:[^ :]|:(?! ))+) (?P<id>(?:[^ :]|:(?! ))+) ok",
        r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3} (?P<name>\w{1,30}?\w{1,30}) https?://",
        r"^(?P<name>.+) took (?P<runtime>[\d.]+)s, (?P<id>\w++)!",
    ],
)
def test_what_is_fast_may_be_used(expression: str) -> None:
    assert problems(expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        r"(?P<name>.+) done",
        r"^.*a.*b",
        r"(\w+)\s+x",
        r"a.*b|c.*d",
        r"^\w*\w*!",
        r"\w{1,30}\w{1,30}!",
        r".+[ab]{1,3}[ab]!",
    ],
)
def test_what_may_be_used_is_bearable_on_the_longest_line(expression: str) -> None:
    assert problems(expression) == []
    pattern = re.compile(expression.encode())

    for filler in (b"a", b"ab", b"a b ", b" ", b"c d"):
        began = time.process_time()
        pattern.search((filler * 4096)[:4096] + b"!")
        assert time.process_time() - began < 2.0


@pytest.mark.parametrize("name", builtin_names())
def test_shipped_expressions_are_linear(name: str) -> None:
    framework = builtin(name)
    assert framework is not None

    assert {pattern.regex: degree(pattern.regex) for pattern in framework.patterns} == dict.fromkeys(
        (pattern.regex for pattern in framework.patterns), 1
    )
