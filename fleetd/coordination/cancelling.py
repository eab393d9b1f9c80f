"""Ending tasks that talk to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

_AGAIN = 0.1  # seconds


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel until it helps: before Python 3.12 asyncio.wait_for, by which redis-py sends, may lose a cancellation."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_AGAIN)
