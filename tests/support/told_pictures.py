"""Looking at what a live view is told, as it does: in an event loop, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fleetd.views.picture import Picture

T = TypeVar("T")


async def until(items: AsyncIterator[T], is_so: Callable[[T], bool], within: float = 60.0) -> list[T]:
    """The items up to the first for which `is_so`; fails with them where none comes."""
    seen: list[T] = []
    try:
        async with asyncio.timeout(within):
            async for item in items:
                seen.append(item)
                if is_so(item):
                    return seen
    except TimeoutError:
        raise AssertionError(f"waited {within:g} s; seen: {seen}") from None
    raise AssertionError(f"ended; seen: {seen}")


async def picture(pictures: AsyncIterator[Picture], is_so: Callable[[Picture], bool], within: float = 60.0) -> Picture:
    """The first picture for which `is_so`."""
    return (await until(pictures, is_so, within))[-1]
