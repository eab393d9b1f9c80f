"""Numbers and times for people, of values that anybody may have written: endless, negative, or none."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite

from fleetd.views.status_table import size, span

UNKNOWN = "-"
_LONGEST = 10**10  # seconds; what is longer is not meant
_SHORT = 10  # seconds that are told with a fraction


def count(number: float | None) -> str:
    """A number of things: "812", "12.3k", "4.1M"."""
    if number is None or not isfinite(number):
        return UNKNOWN
    for size_, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size_:
            return f"{number / (1000 if unit == 'k' else size_):.4g}{unit}" if abs(number) < 1e15 else "lots"  # noqa: PLR2004
    return f"{number:.0f}"


def rate(number: float | None) -> str:
    """Jobs a minute: "4.2", "812"."""
    if number is None or not isfinite(number):
        return UNKNOWN
    return f"{number:.1f}" if abs(number) < 10 else count(number)  # noqa: PLR2004 - one figure behind the point


def age(seconds: float | None) -> str:
    """A time span: "3d 4h", "12m 5s"."""
    if seconds is None or not isfinite(seconds) or abs(seconds) > _LONGEST:
        return UNKNOWN
    return span(seconds)


def since(at: float | None, now: float) -> str:
    """How long ago."""
    return UNKNOWN if at is None else age(now - at)


def runtime(seconds: float | None) -> str:
    """How long a job takes: "80ms", "1.3s", "12m 5s"."""
    if seconds is None or not isfinite(seconds) or abs(seconds) > _LONGEST:
        return UNKNOWN
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.1f}s" if seconds < _SHORT else span(seconds)


def memory(count_: int | None) -> str:
    """Bytes: "41.0M"."""
    return UNKNOWN if count_ is None or not 0 <= count_ < 2**60 else size(count_)


def percent(number: float | None) -> str:
    """CPU in percent of a core."""
    return UNKNOWN if number is None or not isfinite(number) or abs(number) > 1e6 else f"{number:.1f}%"  # noqa: PLR2004


def clock(at: float | None) -> str:
    """The time of day, in the zone of whoever looks; "-" where it is none."""
    found = _local(at)
    return UNKNOWN if found is None else f"{found:%H:%M:%S}"


def moment(at: float | None) -> str:
    """Day and time."""
    found = _local(at)
    return UNKNOWN if found is None else f"{found:%Y-%m-%d %H:%M:%S}"


def _local(at: float | None) -> datetime | None:
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return None
