from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from fleetd.shell.paced import GAP, Paced
from tests.support.virtual_time import run_virtually


def test_what_is_asked_for_once_is_done_at_once_and_once() -> None:
    async def test() -> list[float]:
        loop, done = asyncio.get_running_loop(), list[float]()
        paced = Paced(lambda: done.append(loop.time()), loop)
        for at in (0.0, 1.0, 2.0):
            await asyncio.sleep(at - loop.time())
            paced()
        await asyncio.sleep(1)
        return done

    assert run_virtually(test()) == [0.0, 1.0, 2.0]


def test_a_flood_is_obeyed_at_a_pace_and_its_last_request_is_not_lost() -> None:
    async def test() -> tuple[list[float], float]:
        loop, done, asked = asyncio.get_running_loop(), list[float](), 0.0
        paced = Paced(lambda: done.append(loop.time()), loop)
        for _ in range(501):
            paced()
            asked = loop.time()
            await asyncio.sleep(0.002)
        await asyncio.sleep(1)
        return done, asked

    done, asked = run_virtually(test())
    assert len(done) == pytest.approx(asked / GAP, abs=3)
    assert all(later - earlier >= GAP - 1e-9 for earlier, later in pairwise(done))
    assert asked <= done[-1] <= asked + GAP
