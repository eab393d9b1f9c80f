"""Text cut and padded by the columns that it takes."""

from __future__ import annotations

import pytest

from fleetd.tui.lines import Span, clip, clip_left, columns, fitted


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


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("media:0", 9, "media:0  "),
        ("media:0", 7, "media:0"),
        ("transcode:12", 9, "…scode:12"),
        ("語語語語:12", 8, "…語語:12"),
        ("語語語語:12", 7, "…語:12 "),
        ("x\x07" * 9, 5, "…\\x07"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("a\u0301" * 9, 4, "…" + "a\u0301" * 3),
    ],
)
def test_a_text_that_is_cut_on_the_left(text: str, width: int, shown: str) -> None:
    assert clip_left(text, width) == shown
