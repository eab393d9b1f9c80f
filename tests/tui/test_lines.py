"""Text cut and padded by the columns that it takes."""

from __future__ import annotations

import pytest

from fleetd.tui.lines import Span, clip, columns, fitted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abc", "abc  "),
        ("abcde", "abcde"),
        ("abcdef", "abcd…"),
        ("語語", "語語 "),
        ("語語語", "語語…"),
        ("a\x1b[2J", "a    "),
    ],
)
def test_a_text_is_cut_to_its_columns_and_says_so(text: str, shown: str) -> None:
    assert clip(text, 5) == shown
    assert columns(clip(text, 5)) == 5


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (("ab", "c"), "abc  "),
        (("ab", "cdef"), "abcd…"),
        (("abcd", "ef"), "abcd…"),
        (("abcde", "failed 12"), "abcd…"),
        (("    ", "12", " failed"), "    …"),
        (("abcde", "  "), "abcde"),
        (("ab   ", "c"), "ab  …"),
        (("abc    ",), "abc  "),
        (("語語語",), "語語…"),
    ],
)
def test_spans_are_cut_to_their_columns_and_say_so(texts: tuple[str, ...], shown: str) -> None:
    assert "".join(span.text for span in fitted([Span(text) for text in texts], 5)) == shown
