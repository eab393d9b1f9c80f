from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetd.views.control_characters import made_visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("tab\there", "tab\there"),
        ("grün 你好 🙂", "grün 你好 🙂"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[H", ""),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(B\x1bMx", "x"),
        ("\x1bPq payload\x1b\\x", "x"),
        ("\x1b[", "\\x1b["),
        ("\x1b", "\\x1b"),
        ("a\rb\x00\x7f", "a\\x0db\\x00\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil\u2069", "\\u202eevil\\u2069"),
        ("a\nb", "a\\x0ab"),
    ],
)
def test_shown(text: str, shown: str) -> None:
    assert made_visible(text) == shown


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]\\;m\x07\x9b\x9c\u202e"))))
@example("\x1b]x\x1b[\x1b")
@example("\x1b\x1b[0m[31m")
def test_nothing_that_controls_is_left(text: str) -> None:
    shown = made_visible(text)
    assert not any(unicodedata.category(character) == "Cc" and character != "\t" for character in shown)
    assert not any(unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF"} for character in shown)
    assert made_visible(shown) == shown
