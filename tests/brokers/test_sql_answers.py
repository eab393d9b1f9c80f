"""What the answers of a database say of a queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from fleetd.brokers.sql import answers
from fleetd.core.queues import Depth, Place
from fleetd.errors import FleetdError

PLACE = Place(queue="media", ready=("r1", "r2"), delayed=("d",), reserved=("h",), oldest="o")
BARE = Place(queue="bare", ready=("r",))
AT = 1_790_000_000.25


def oldest(answer: Any) -> float | None:
    return answers.depth(Place(queue="q", ready=(), oldest="SELECT MIN(at) FROM jobs"), [answer]).oldest_at


def test_questions_are_asked_and_answered_in_one_order() -> None:
    asked = answers.questions([PLACE, BARE])
    assert [(question.query, question.queue) for question in asked] == [
        *((query, "media") for query in ("r1", "r2", "d", "h", "o")),
        ("r", "bare"),
    ]
    assert (answers.how_many(PLACE), answers.how_many(BARE)) == (5, 1)
    assert answers.depth(PLACE, [3, 4, 5, 6, AT]) == Depth(ready=7, delayed=5, reserved=6, oldest_at=AT)


def test_what_is_not_asked_is_not_known() -> None:
    assert answers.depth(BARE, [0]) == Depth(ready=0)


def test_what_is_not_answered_is_not_known() -> None:
    assert answers.depth(PLACE, [3, None, None, 0, None]) == Depth(ready=None, delayed=None, reserved=0)


@pytest.mark.parametrize("count", [7, 7.0, Decimal(7)])
def test_counts_come_in_several_types(count: Any) -> None:
    assert answers.depth(BARE, [count]) == Depth(ready=7)


@pytest.mark.parametrize(
    "answer", ["7", b"7", -1, 1.5, datetime.now(UTC), [], float("nan"), float("inf"), Decimal("NaN"), Decimal("1E400")]
)
def test_what_is_no_count_is_said_with_its_query(answer: Any) -> None:
    with pytest.raises(FleetdError, match=r"has to answer a count, and not .*: SELECT jobs FROM counts$"):
        answers.depth(Place(queue="q", ready=("SELECT jobs\n FROM counts",)), [answer])


@pytest.mark.parametrize(
    "answer",
    [
        AT,
        Decimal("1790000000.25"),
        AT * 1000,
        datetime.fromtimestamp(AT, UTC),
        datetime.fromtimestamp(AT, UTC).replace(tzinfo=None),
        datetime.fromtimestamp(AT, timezone(timedelta(hours=5))),
        "2026-09-21 14:13:20.250000",
        "2026-09-21T14:13:20.25Z",
        "2026-09-21T19:13:20.250+05:00",
    ],
)
def test_times_come_in_several_types(answer: Any) -> None:
    assert oldest(answer) == AT


@pytest.mark.parametrize("answer", [0, -1, float("nan"), float("inf"), Decimal("NaN"), Decimal("1E400")])
def test_a_number_that_is_no_time_is_not_known(answer: Any) -> None:
    assert oldest(answer) is None


@pytest.mark.parametrize("answer", ["soon", "", b"soon", "99:99", []])
def test_what_is_no_time_is_said_with_its_query(answer: Any) -> None:
    with pytest.raises(FleetdError, match=r"has to answer a time, and not a \w+: SELECT MIN\(at\) FROM jobs$"):
        oldest(answer)


def test_a_long_query_is_shown_in_part() -> None:
    with pytest.raises(FleetdError) as caught:
        answers.depth(Place(queue="q", ready=("SELECT " + "x, " * 999,)), ["no"])
    assert len(str(caught.value)) < 200
