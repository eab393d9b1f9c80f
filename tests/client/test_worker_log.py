"""Each line of a worker once, and as someone who looks at that worker alone wants it."""

from __future__ import annotations

from datetime import datetime

import pytest

from fleetd.client.worker_log import Overlap, of_worker

STAMP = "2026-11-23T21:14:05.123+00:00"
HERE = f"{datetime.fromisoformat(STAMP).astimezone():%H:%M:%S}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{STAMP} media:0 hello media:0 x", f"{HERE} hello media:0 x"),
        (f"{STAMP} media:0 ", f"{HERE} "),
        (f"{STAMP} media:1 hello", f"{STAMP} media:1 hello"),
        ("x" * len(STAMP) + " media:0 hello", "x" * len(STAMP) + " media:0 hello"),
        ("hello media:0 there", "hello media:0 there"),
        ("", ""),
    ],
)
def test_of_worker(text: str, shown: str) -> None:
    assert of_worker("media:0", text) == shown


@pytest.mark.parametrize(
    ("shown", "told", "new"),
    [
        ("", "abc", "abc"),
        ("abc", "abc", ""),
        ("abc", "bcde", "de"),
        ("abc", "xyz", "xyz"),
        ("abc", "", ""),
        ("ab", "zab", "zab"),
        ("aab", "abab", "ab"),
    ],
)
def test_overlap(shown: str, told: str, new: str) -> None:
    overlap = Overlap(200)
    for line in shown:
        assert list(overlap.went_on(line)) == [line]
    assert "".join(overlap.new(told)) == new
    assert list(overlap.new(told)) == []
