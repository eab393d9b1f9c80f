"""Time spans as systemd prints them."""

from __future__ import annotations

import pytest

from fleetd.systemd.stop_time import seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1min 30s", 90),
        ("1h 35s", 3635),
        ("2.500ms", 0.0025),
        ("1month 1w 2d", 2_629_800 + 604_800 + 172_800),
        ("infinity", None),
        ("", None),
        ("90", None),
    ],
)
def test_time_spans(text: str, value: float | None) -> None:
    assert seconds(text) == (None if value is None else pytest.approx(value))
