"""Which regular expressions of a user are refused, and that those that are not are fast."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleetd.frameworks.framework import Framework, builtin, builtin_names, define
from fleetd.frameworks.lines import LONGEST_FOR_QUADRATIC, Patterns
from fleetd.frameworks.regex import degree, problems, searched


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
        r"x*[^x]+[^x]{2,}(?<=b)",
        r" *+.\w+?.{2,}^",
        r" *+.\w+.+;",
        r"(?P<id>\d*+([^a]{1,3}^|b{1,3}^)?)\w{3,30}(?=a)a*[^a]+?",
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
        (r"\d{1,99999999999}", "is no regular expression: the repetition number is too large"),
        ("(" * 60 + "a" + ")" * 60, "has groups in groups, more than 50 deep"),
        ("(" * 2000 + "a" + ")" * 2000, "is no regular expression: maximum recursion depth exceeded"),
        ("^" + "(?:a|b)" * 600, "is longer than 4096 characters"),
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
        r"[[a]{3} in [a&&b]",  # of which Python warns
        r"^(?: (?!\d++(?:ms|m) )\w++)+$",
        r"^(?=.*id=(?P<id>\w+))(?=.*name=(?P<name>\w+)).* done",
        r"^(?P<queue>(?:[^ :]|:(?! ))+) (?P<name>(?:[^ :]|:(?! ))+) (?P<id>(?:[^ :]|:(?! ))+) ok",
        r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3} (?P<name>\w{1,30}?\w{1,30}) https?://",
        r"^(?P<name>.+) took (?P<runtime>[\d.]+)s, (?P<id>\w++)!",
    ],
)
def test_what_is_fast_may_be_used(expression: str) -> None:
    assert problems(expression) == []


# What a hostile line is made of; each expression is tried on the longest line of each.
FILLERS = (b"a", b"ab", b"a b ", b" ", b"c d", b"job ", b"a,")


@pytest.mark.parametrize(
    "expression",
    [
        r"(?P<name>.+) done",
        r"(?P<name>\w+) encoded in (?P<runtime>[\d.]+)s",
        r"(?:[^ ]{2,}) done",
        r"(?P<name>\w+?):(?P<id>\d+)!",
        r"(?P<name>(?P<id>\w+)) encoded",
        r"^.*a.*b",
        r"(\w+)\s+x",
        r"a.*b|c.*d",
        r"a(.*?)b!",
        r"job (?P<name>.*) took (?P<runtime>[\d.]+)s",
        r"(?:a\w+|x) y",
        r"(?=.*x)a",
        r"^\w*\w*!",
        r"\w{1,30}\w{1,30}!",
        r".+[ab]{1,3}[ab]!",
    ],
)
def test_what_may_be_used_is_fast_on_the_longest_line(expression: str) -> None:
    patterns = defined(expression)

    for filler in FILLERS:
        line = (filler * 4096)[:4094] + b"!~"
        assert min(seconds_of(patterns, line) for _ in range(3)) < 0.05


def seconds_of(patterns: Patterns, line: bytes) -> float:
    began = time.process_time()
    patterns.read(line)
    return time.process_time() - began


def defined(expression: str) -> Patterns:
    """The patterns of a user's framework that has this one."""
    framework = define("own", {"patterns": [{"meaning": "done", "literal": "~", "regex": expression}]})
    assert isinstance(framework, Framework)
    return Patterns(framework.patterns)


@pytest.mark.parametrize(
    ("expression", "grade"),
    [
        (r"(?P<name>\w+) done", 1),
        (r"(?P<name>.+) done", 1),
        (r"(?P<name>.*) done", 1),
        (r"(?P<name>\w*) done", 2),
        (r"\d*+(?:[^a]^)?a+", 2),
        (r"(?P<name>\S+) (?P<id>\S+) done", 1),
        (r"\x61+ done", 1),
        (r"job (?P<id>\w+) done", 1),
        (r"job (?P<id>.*) done", 2),
        (r"a\w+ done", 2),
        (r"(?:a|\w+) done", 2),
        (r"(?:\w+ )?done", 2),
        (r"(?i:[a-z]+) done", 2),
        (r"(?=.*x)a", 2),
        (r"^.*(?:a|\w+ x)", 2),
    ],
)
def test_a_search_is_a_repeat_too(expression: str, grade: int) -> None:
    assert degree(expression) == grade


@given(
    st.lists(
        st.sampled_from(
            ["a", "b", r"\x61", "[ab]", "[^a]", ".", "(?P<id>a", "(?:b", "(", "(?i:a", ")", "+", "*", "|", "^"]
        ),
        max_size=9,
    ),
    st.text(alphabet="abA ", max_size=12),
)
def test_a_search_from_the_beginning_of_a_run_finds_the_same(parts: list[str], text: str) -> None:
    expression = "".join(parts)
    assume(not problems(expression))
    plain, begun = re.search(expression, text), re.search(searched(expression), text)

    assert (plain and (plain.span(), plain.groups())) == (begun and (begun.span(), begun.groups()))


def test_a_slow_expression_sees_less_of_a_line() -> None:
    slow, fast = defined("job (?P<id>.*) done"), defined("job (?P<id>[^ ]*) done")
    near, far = (b"~" * filler + b" job 7 done" for filler in (LONGEST_FOR_QUADRATIC - 11, LONGEST_FOR_QUADRATIC - 10))

    assert [patterns.read(line) is not None for patterns in (slow, fast) for line in (near, far)] == [
        *(True, False),
        *(True, True),
    ]


@pytest.mark.parametrize("name", builtin_names())
def test_shipped_expressions_are_linear(name: str) -> None:
    framework = builtin(name)
    assert framework is not None

    assert {pattern.regex: degree(pattern.regex) for pattern in framework.patterns} == dict.fromkeys(
        (pattern.regex for pattern in framework.patterns), 1
    )
