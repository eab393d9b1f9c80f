"""Times such as that at which a job was enqueued, in whatever way frameworks write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

# From where on a number is one of milliseconds, microseconds, nanoseconds: as seconds it would be after the year 5000.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_EARLIEST = 1e8  # 1973: what is less is no time
_LONGEST = 64  # characters of a time


def moment(value: object) -> float | None:
    """Unix seconds of a number (of seconds or parts of it) or an ISO 8601 text (UTC where it names no zone).

    None for what is no time; raises nothing.
    """
    if isinstance(value, bytes):
        value = value[: _LONGEST + 1].decode(errors="replace")
    if isinstance(value, str):
        return _of_text(value.strip()) if len(value) <= _LONGEST else None
    if isinstance(value, datetime):
        return _of_datetime(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return _of_number(float(value))
    except OverflowError:
        return None


def _of_text(text: str) -> float | None:
    try:
        return _of_number(float(text))
    except ValueError:
        pass
    try:
        return _of_datetime(datetime.fromisoformat(text))
    except ValueError:
        return None


def _of_datetime(time: datetime) -> float | None:
    try:
        seconds = (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):  # near the first or last year
        return None
    return seconds if seconds >= _EARLIEST else None


def _of_number(number: float) -> float | None:
    if not math.isfinite(number):
        return None
    divisor = next((divisor for least, divisor in _UNITS if number >= least), 1.0)
    return number / divisor if number >= _EARLIEST else None
