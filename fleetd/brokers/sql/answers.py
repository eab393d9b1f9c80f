"""What a database answers, read as counts and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from fleetd.brokers.sql.parameters import Question
from fleetd.core.moments import moment
from fleetd.core.queues import Depth, Place
from fleetd.errors import FleetdError


def questions(places: Iterable[Place]) -> list[Question]:
    """All that is to be asked about the queues, in the order that `depth` takes the answers in."""
    return [Question(query, place.queue) for place in places for query in _queries(place)]


def depth(place: Place, answers: Sequence[Any]) -> Depth:
    """What the answers to a place's questions, in their order, say of its queue.

    Raises FleetdError for an answer that is no number or time.
    """
    left = iter(answers)
    return Depth(
        ready=_sum(place.ready, left),
        delayed=_sum(place.delayed, left),
        reserved=_sum(place.reserved, left),
        oldest_at=None if place.oldest is None else _time(place.oldest, next(left)),
    )


def how_many(place: Place) -> int:
    """The number of its questions."""
    return len(_queries(place))


def _queries(place: Place) -> tuple[str, ...]:
    return (*place.ready, *place.delayed, *place.reserved, *(() if place.oldest is None else (place.oldest,)))


def _sum(queries: tuple[str, ...], left: Any) -> int | None:
    """The sum of the next answers; None if nothing is asked, or one of them is not known."""
    counts = [_count(query, next(left)) for query in queries]
    known = [count for count in counts if count is not None]
    return sum(known) if counts and len(known) == len(counts) else None


def _count(query: str, answer: Any) -> int | None:
    if answer is None:
        return None
    if isinstance(answer, int | float | Decimal) and float(answer) >= 0 and float(answer) % 1 == 0:
        return int(answer)
    raise FleetdError(f"a query has to answer a count, and not {_kind(answer)}: {_shown(query)}")


def _time(query: str, answer: Any) -> float | None:
    """Unix seconds; None also for a number that is no time, as a row of a careless application may hold."""
    is_number = isinstance(answer, int | float | Decimal)
    at = moment(float(answer) if is_number else answer)
    if at is None and answer is not None and not is_number:
        raise FleetdError(f"a query has to answer a time, and not {_kind(answer)}: {_shown(query)}")
    return at


def _kind(answer: Any) -> str:
    return "the number " + str(answer) if isinstance(answer, int | float | Decimal) else f"a {type(answer).__name__}"


def _shown(query: str) -> str:
    words = " ".join(query.split())
    return words if len(words) <= 100 else words[:99] + "…"  # noqa: PLR2004 - one line of a terminal
