"""Which commands count the jobs of a queue, and what their answers make of it.

Plain commands, each on one key: all of them can be sent at once, to whichever node of a Cluster has the key, they need
no more than permission to read, and cost the server a microsecond each.  The type of a key is not known beforehand: a
list is taken for granted where jobs are ready, a sorted set elsewhere, until a WRONGTYPE tells otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleetd.core.queues import Depth, Place
from fleetd.errors import FleetdError

Words = tuple[str, ...]

COUNTS = {"list": "LLEN", "zset": "ZCARD", "set": "SCARD", "hash": "HLEN", "stream": "XLEN"}


class Types:
    """The types of keys, as far as they are other than expected."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def of(self, key: str, expected: str) -> str:
        """What to take a key for."""
        return self._seen.get(key, expected)

    def saw(self, key: str, answer: bytes) -> None:
        """What TYPE said; raises FleetdError for a key that cannot be a queue's."""
        name = answer.decode(errors="replace")
        if name == "none":  # gone meanwhile
            self._seen.pop(key, None)
        elif name in COUNTS:
            self._seen[key] = name
        else:
            raise FleetdError(f"{key} is a {name} there, which holds no jobs: are prefix and queue right?")

    def keep(self, places: Sequence[Place]) -> None:
        """Forget the keys of other places."""
        if self._seen:
            keys = {key for place in places for key in (*place.ready, *place.delayed, *place.reserved)}
            self._seen = {key: name for key, name in self._seen.items() if key in keys}


def commands(place: Place, types: Types, now: float) -> Iterator[Words]:
    """What to ask; `now` is Unix seconds by the server's clock."""
    for key in place.ready:
        yield _count(key, types.of(key, "list"))
    for key in place.reserved:
        yield _count(key, types.of(key, "zset"))
    for key in place.delayed:
        name = types.of(key, "zset")
        yield from _due(key, place.due_unit, now) if name == "zset" else [_count(key, name)]


def depth(place: Place, types: Types, now: float, answers: Mapping[Words, Any]) -> Depth:
    """What the answers say; those of all `commands` are there."""
    delayed, due = _delayed(place, types, now, answers)
    return Depth(
        ready=_sum(answers[_count(key, types.of(key, "list"))] for key in place.ready),
        delayed=delayed,
        due=due,
        reserved=_sum(answers[_count(key, types.of(key, "zset"))] for key in place.reserved),
    )


def _delayed(place: Place, types: Types, now: float, answers: Mapping[Words, Any]) -> tuple[int | None, int | None]:
    if not place.delayed:
        return None, None
    delayed, due, is_told = 0, 0, True
    for key in place.delayed:
        name = types.of(key, "zset")
        if name == "zset":
            later, ripe = (int(answers[words]) for words in _due(key, place.due_unit, now))
            delayed, due = delayed + later, due + ripe
        else:  # has no times: all count as delayed
            count = int(answers[_count(key, name)])
            delayed, is_told = delayed + count, is_told and count == 0
    return delayed, due if is_told else None


def _count(key: str, name: str) -> Words:
    return COUNTS[name], key


def _due(key: str, unit: int, now: float) -> tuple[Words, Words]:
    limit = repr(now * unit)
    return ("ZCOUNT", key, f"({limit}", "+inf"), ("ZCOUNT", key, "-inf", limit)


def _sum(counts: Iterator[Any]) -> int | None:
    numbers = [int(count) for count in counts]
    return sum(numbers) if numbers else None
