"""The loop with a scripted source: a defect in it leaves the terminal clean, and floods come in batches."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fleetd.errors import FleetdError
from fleetd.tui.app import batches
from tests.support.live_view import live_view

DEFECT = """
import asyncio, os, sys
from fleetd.tui.app import show
from fleetd.tui.look import look_of
from tests.support.pictures import ALONE

class Source:
    can = frozenset()
    async def pictures(self):
        yield ALONE
        while not os.path.exists(sys.argv[1]):
            await asyncio.sleep(0.02)
        raise RuntimeError("a defect")
    async def events(self):
        await asyncio.sleep(1000)
        yield {}

asyncio.run(show(Source(), look_of("xterm")))
"""


@pytest.mark.process
def test_a_defect_is_told_once_the_terminal_is_as_it_was(tmp_path: Path) -> None:
    arguments = ("-c", DEFECT, str(tmp_path / "seen"))
    environment = {"PYTHONPATH": "."}
    with live_view(*arguments, environment=environment, command=sys.executable) as live:
        live.sees("media ")
        (tmp_path / "seen").touch()
        assert live.ended() == (1, None)
        live.assert_left_clean()
        assert "RuntimeError: a defect" in live.written.rpartition("\x1b[?1049l")[2]


@pytest.mark.process
def test_a_defect_at_a_key_ends_the_view_too() -> None:
    defect = DEFECT.replace(
        "    async def events", "    def measure(self, pools): raise RuntimeError('at a key')\n    async def events"
    )
    with live_view("-c", defect, "/nowhere", environment={"PYTHONPATH": "."}, command=sys.executable) as live:
        live.sees("media ")
        live.press("down", "enter")
        assert live.ended() == (1, None)
        live.assert_left_clean()
        before, _, after = live.written.rpartition("\x1b[?1049l")
        assert "RuntimeError: at a key" in after
        assert "Traceback" not in before


async def numbers(count: int, error: Exception | None = None) -> AsyncIterator[int]:
    for number in range(count):
        yield number
    if error is not None:
        raise error


async def taken(items: AsyncIterator[int], into: list[list[int]]) -> None:
    async for batch in batches(items):
        into.append(batch)  # noqa: PERF401 - what came before an error is wanted


def test_a_flood_is_a_few_batches() -> None:
    found: list[list[int]] = []
    asyncio.run(taken(numbers(3000), found))
    assert [number for batch in found for number in batch] == list(range(3000))
    assert len(found) <= 6


def test_what_the_items_raise_comes_after_them() -> None:
    found: list[list[int]] = []
    with pytest.raises(FleetdError, match="no more"):
        asyncio.run(taken(numbers(3, FleetdError("no more")), found))
    assert [number for batch in found for number in batch] == [0, 1, 2]


def test_items_are_let_go_when_nobody_takes_them() -> None:
    ended: list[str] = []

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            ended.append("closed")

    async def some() -> None:
        source = batches(endless())
        async for _ in source:
            break
        await source.aclose()  # type: ignore[attr-defined]
        assert ended == ["closed"]

    asyncio.run(some())
