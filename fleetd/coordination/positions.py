"""Places in a fleet's stream of events: "MILLISECONDS-NUMBER", as Redis writes them."""

from __future__ import annotations

import re

from fleetd.errors import UsageError

_POSITION = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")


def parsed(position: str) -> tuple[int, int]:
    """A position, in its order.  Raises UsageError for what is none."""
    match = _POSITION.fullmatch(position)
    if match is None:
        raise UsageError(f"{position[:40]!r} is no position in the fleet's events; one looks like 1790000000000-0")
    return int(match[1]), int(match[2])
