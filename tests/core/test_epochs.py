"""Restart epochs: which apply to a worker, what makes it stale, and which texts are believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.core.epochs import FURTHEST_AHEAD, LARGEST, EpochKey, Epochs, applying_to, keys_of, read

CLOCK = 1_790_000_000.5
KEYS = [(EpochKey(), ""), (EpochKey("media"), "pool:media"), (EpochKey(host="h1"), "host:h1")]
KEYS.append((EpochKey("media", "h1"), "host:h1:pool:media"))


@pytest.mark.parametrize(("key", "text"), KEYS)
def test_names_of_keys(key: EpochKey, text: str) -> None:
    assert str(key) == text
    assert EpochKey.parse(text) == key


def test_the_four_keys_of_a_worker() -> None:
    assert set(map(str, keys_of("h1", ["media"]))) == {text for _, text in KEYS}
    assert len(keys_of("h1", ["a", "b", "c"])) == 8
    known = {"": 1, "pool:media": 2, "host:h1": 3, "host:h1:pool:media": 4, "pool:mail": 9, "host:h2": 9}
    epochs = applying_to("h1", "media", known)
    assert epochs == Epochs(1, 2, 3, 4)
    assert [epochs.of(key) for key, _ in KEYS] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("now", "then", "grown"),
    [
        (Epochs(), None, None),
        (Epochs(), Epochs(), None),
        (Epochs(5), None, 5),
        (Epochs(5), Epochs(5), None),
        (Epochs(5), Epochs(6), None),
        (Epochs(6, 2), Epochs(5, 1), 6),
        (Epochs(9, 2), Epochs(9, 1), 2),
        (Epochs(0, 0, 0, 1), Epochs(9, 9, 9, 0), 1),
    ],
)
def test_each_key_is_compared_by_itself(now: Epochs, then: Epochs | None, grown: int | None) -> None:
    assert now.newest_over(then) == grown


def test_what_people_see_is_the_greatest() -> None:
    assert Epochs().greatest is None
    assert Epochs(3, 9, 1).greatest == 9


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("0", 0),
        ("17", 17),
        ("1790000001", 1_790_000_001),
        (str(int(CLOCK) + FURTHEST_AHEAD), int(CLOCK) + FURTHEST_AHEAD),
        (str(int(CLOCK) + FURTHEST_AHEAD + 1), None),
        (str(LARGEST), None),
        *((raw, None) for raw in ("", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "one", "\u0661", "9" * 17, "1\n")),
    ],
)
def test_what_is_believed(raw: str, value: int | None) -> None:
    assert read(raw, CLOCK) == value


@given(st.text(max_size=30))
def test_any_text_is_an_epoch_or_none(raw: str) -> None:
    value = read(raw, CLOCK)
    assert value is None or 0 <= value <= CLOCK + FURTHEST_AHEAD
