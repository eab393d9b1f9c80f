"""Durations and sizes as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.config.durations import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

DURATIONS = [
    ("90", 90.0), ("90s", 90.0), ("15m", 900.0), ("1h30m", 5400.0), ("1h 30m", 5400.0), ("2d", 172800.0),
    ("250ms", 0.25), ("1.5h", 5400.0), ("0", 0.0), ("0.1s", 0.1), (" 5s ", 5.0),
]  # fmt: skip
SIZES = [
    ("1048576", 1 << 20), ("512MiB", 512 << 20), ("2GB", 2 * 10**9), ("128M", 128 << 20), ("1.5GiB", 3 << 29),
    ("64k", 64 << 10), ("10kB", 10_000), ("1 TiB", 1 << 40), ("7B", 7), ("512mib", 512 << 20),
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert re.search(DURATION_PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "s", "1x", "h1", "-5s", "1h30", "90 s", "\u0661s", "1e3", "nan", "inf", "5 minutes"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)
    assert not re.search(DURATION_PATTERN, text, re.ASCII)


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert re.search(SIZE_PATTERN, text)


@pytest.mark.parametrize("text", ["", "MB", "1XB", "-1MB", "1MBit", "1MB2", "one", "1e3"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
    assert not re.search(SIZE_PATTERN, text)


@given(st.integers(min_value=0, max_value=10**12))
def test_durations_are_read_as_they_were_written(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(min_value=0, max_value=1 << 62))
def test_sizes_are_read_as_they_were_written(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(min_value=1, max_value=4000), st.sampled_from(["KiB", "MiB", "GiB", "kB", "MB", "GB"]))
def test_round_sizes_stay_short(count: int, unit: str) -> None:
    assert len(format_size(parse_size(f"{count}{unit}"))) <= len(f"{count}{unit}")


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (5400, "1h30m"), (0.25, "250ms"), (90061.5, "1d1h1m1s500ms"), (3600, "1h")]
)
def test_written_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (1023, "1023B"), (1 << 29, "512MiB"), (2 * 10**9, "2GB")])
def test_written_sizes(size: int, text: str) -> None:
    assert format_size(size) == text
