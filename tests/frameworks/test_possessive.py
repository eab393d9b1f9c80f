"""Possessive groups mean the same to every Python."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.frameworks.possessive import written_out


@pytest.mark.parametrize(
    ("expression", "text", "found"),
    [
        (r"^(?:[^ :]++|:(?! ))++: Job", "compress: Job OK", "compress: Job"),  # None before CPython 3.11.5, as it is
        (r"^(?:[^ :]++|:(?! ))++: Job", "a:b:c: Job OK", "a:b:c: Job"),
        (r"(?P<name>[^ ]++(?: [^ .]++)*+) \.+", "App X .... y", "App X ...."),
        (r"(?>a|ab)c", "abc", None),
        (r"(?>ab|a)c", "abc", "abc"),
        (r"(?:a|b){1,2}+b", "ab", None),
        (r"x(?:\)|[)(]++)*+y", r"x)()y", "x)()y"),
        (r"(?:(?:a+b)?+c)*+d", "aabccd", "aabccd"),
        (r"a++b", "aaab", "aaab"),
    ],
)
def test_a_group_that_never_gives_back(expression: str, text: str, found: str | None) -> None:
    match = re.search(written_out(expression), text)

    assert (match and match[0]) == found


def test_what_has_no_such_group_stays_as_it_is() -> None:
    for expression in (r"^\[[^\]]*+\]\[(?P<id>[^\]]*+)\] Processed: +(?P<name>[^ ].*)", r"[)++(]x\)++", "(a|b)+?c"):
        assert written_out(expression) == expression


@given(st.text(alphabet="ab: ", max_size=30))
def test_the_name_before_a_colon_is_the_shortest_way_to_it(text: str) -> None:
    """Against a plain reading: everything up to the first colon that a space follows."""
    match = re.match(written_out(r"((?:[^ :]++|:(?! ))++): "), text)

    head, separator, _ = text.partition(": ")
    expected = head if separator and head and " " not in head else None
    assert (match and match[1]) == expected
