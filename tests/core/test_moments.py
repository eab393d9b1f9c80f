"""Times as frameworks write them, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetd.core.moments import moment

AT = 1795680682.25


@pytest.mark.parametrize(
    "written",
    [
        AT,
        str(AT),
        b"1795680682.25",
        AT * 1e3,
        1795680682250,
        "1795680682250",
        1795680682250000,
        1795680682250000000,
        "2026-11-26T08:11:22.250000Z",
        b"2026-11-26T08:11:22.25",
        "2026-11-26 08:11:22.25+00:00",
        "2026-11-26T10:11:22.250+02:00",
        "2026-11-26T08:11:22.250123456Z",
        " 2026-11-26T08:11:22.250000Z\n",
        datetime(2026, 11, 26, 8, 11, 22, 250000, UTC),
        datetime(2026, 11, 26, 8, 11, 22, 250000),  # noqa: DTZ001 - as a database gives it
    ],
)
def test_seconds_parts_of_them_and_iso_8601(written: object) -> None:
    assert moment(written) == pytest.approx(AT, abs=1e-3)


@pytest.mark.parametrize(
    "written",
    [
        *(None, True, 0, -AT, 17, float("inf"), 10**400, [AT], {"a": AT}, b"\xff"),
        *("", "yesterday", "1e999", "nan", "9" * 100, "0001-01-01T00:00:00+14:00", "1970-01-01"),
        "2026-09-31T14:15:00Z",
    ],
)
def test_what_is_no_time(written: object) -> None:
    assert moment(written) is None


def test_a_date_is_never_taken_for_milliseconds() -> None:
    assert moment("9999-12-31T23:59:59-14:00") == 253402351199


@settings(max_examples=100)
@given(st.one_of(st.text(), st.binary(), st.integers(), st.floats(), st.booleans(), st.datetimes()))
def test_nothing_raises(written: object) -> None:
    found = moment(written)
    assert found is None or found >= 1e8
