"""The fleet's events, and hints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fleetd.coordination.port import Coordinator
from fleetd.errors import UsageError
from tests.support.coordination import FleetUnderTest


def told(fleet: FleetUnderTest, *numbers: int, member: str = "a/x") -> None:
    fleet.beat(member, events=tuple(b'{"n":%d,"s":"\xc3\xa4"}' % number for number in numbers))


def numbers(fleet: FleetUnderTest, after: str | None = None, count: int = 100) -> list[int]:
    return [event.document["n"] for event in fleet.events(after, count)]


def test_the_last_ones_oldest_first(fleet: FleetUnderTest) -> None:
    assert fleet.events() == []
    told(fleet, 1, 2)
    told(fleet, 3, member="b/x")
    assert numbers(fleet) == [1, 2, 3]
    assert numbers(fleet, count=2) == [2, 3]
    assert numbers(fleet, count=0) == []
    assert fleet.events()[0].document == {"n": 1, "s": "ä"}


def test_what_came_after_a_position(fleet: FleetUnderTest) -> None:
    told(fleet, *range(10))
    first, second, *_ = fleet.events()
    assert first.position != second.position
    assert numbers(fleet, first.position, 3) == [1, 2, 3]
    assert numbers(fleet, fleet.events()[-1].position) == []
    told(fleet, 10)
    assert numbers(fleet, fleet.events()[-2].position) == [10]
    assert numbers(fleet, "0-0", 2) == [0, 1]


@pytest.mark.parametrize("position", ["", "x", "1", "(1-1", "-", "1-1 "])
def test_a_position_that_is_none(fleet: FleetUnderTest, position: str) -> None:
    with pytest.raises(UsageError, match="no position"):
        fleet.events(position)


def test_a_hint_comes_when_something_changes(fleet: FleetUnderTest) -> None:
    fleet.beat()

    async def first(hints: AsyncIterator[str], coordinator: Coordinator) -> str:
        hint = asyncio.ensure_future(anext(hints))
        while not hint.done():  # the subscription may not stand yet
            await coordinator.pause(("host:a",), paused=True)
            await asyncio.wait({hint}, timeout=0.1)
        return hint.result()

    async def both() -> str:
        hints = fleet.coordinator.hints()
        try:
            return await asyncio.wait_for(first(hints, fleet.coordinator), 40)
        finally:
            await hints.aclose()  # type: ignore[attr-defined]

    assert fleet.run(both()) == "pause"
