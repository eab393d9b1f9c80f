"""Bytes to keys, however they are split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.tui.keys import Keys

CONTROL = ["ctrl-c", "ctrl-z", "ctrl-l"]
PAGES = ["page-up", "page-down"]
CASES: dict[str, tuple[bytes, list[str]]] = {
    "letters": (b"aR?/ +-", ["a", "R", "?", "/", " ", "+", "-"]),
    "control": (b"\x03\x1a\x0c\r\n\t\x7f\x08", [*CONTROL, *["enter"] * 2, "tab", *["backspace"] * 2]),
    "no key": (b"\x00\x1c\x1f", []),
    "arrows": (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
    "arrows of application mode": (b"\x1bOA\x1bOB", ["up", "down"]),
    "with modifiers": (b"\x1b[1;5A\x1b[5;2~", ["up", "page-up"]),
    "pages and ends": (b"\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~", [*PAGES, *["home", "end"] * 3]),
    "f1 of three kinds": (b"\x1bOP\x1b[11~\x1b[[A", ["f1", "f1", "f1"]),
    "unknown sequences": (b"\x1b[38;5;9m\x1b[?1;2c\x1b[24~a", ["a"]),
    "a focus report": (b"\x1b[Ia", ["a"]),
    "the answer of a cursor report": (b"\x1b[12;40Ra", ["a"]),
    "alt": (b"\x1bRa", ["escape", "R", "a"]),
    "escape twice": (b"\x1b\x1b[A", ["escape", "up"]),
    "utf-8": ("ü語🙂".encode(), ["ü", "語", "🙂"]),
    "broken utf-8": (b"\xff\xc3a", ["\ufffd", "\ufffd", "a"]),
    "pasted text is no key": (b"a\x1b[200~RySy\rq\x1b[A\x1b[201~b", ["a", "b"]),
    "a long sequence": (b"\x1b[" + b"1" * 50 + b"aa", ["a"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_keys(case: str) -> None:
    data, expected = CASES[case]
    assert Keys().feed(data) == expected


@pytest.mark.parametrize("case", CASES)
def test_keys_byte_by_byte(case: str) -> None:
    data, expected = CASES[case]
    keys = Keys()
    assert [key for byte in data for key in keys.feed(bytes([byte]))] == expected


def test_an_escape_is_a_key_once_nothing_follows() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.waits
    assert keys.flush() == ["escape"]
    assert not keys.waits
    assert keys.feed(b"a") == ["a"]


def test_half_a_sequence_is_no_key() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b[1;") == []
    assert keys.flush() == []
    assert keys.feed(b"a") == ["a"]


def test_an_endless_sequence_is_let_go() -> None:
    keys = Keys()
    keys.feed(b"\x1b[" + b"1" * 1000)
    assert not keys.waits
    assert keys.feed(b"a") == ["a"]


def test_a_paste_that_never_ends_stays_small() -> None:
    keys = Keys()
    keys.feed(b"\x1b[200~")
    for _ in range(100):
        assert keys.feed(b"q" * 1000) == []
    assert not keys.waits
    assert len(keys._rest) < 10


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_any_bytes(chunks: list[bytes]) -> None:
    keys = Keys()
    found = [key for chunk in chunks for key in keys.feed(chunk)] + keys.flush()
    assert all(len(key) > 1 or key.isprintable() for key in found)
    keys.feed(b"\x1b[201~")
    keys.flush()
    assert keys.feed(b"a")[-1:] == ["a"]
