"""Where facts go: the daemon's log, the last ones for `fleetd events`, and whoever follows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from fleetd.core.facts import Fact
from fleetd.views.control_characters import made_visible
from fleetd.views.wording import WARNINGS, sentence

KEPT = 1000  # facts
BEHIND = 1000  # facts that a follower may be behind before it loses the oldest

_log = logging.getLogger("fleetd")


class Told(Struct, frozen=True):
    """A fact and when it was told (Unix seconds)."""

    at: float
    fact: Fact

    def document(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        fact = self.fact
        return {
            "at": self.at,
            "kind": fact.kind,
            "pool": fact.pool,
            "worker": fact.worker,
            "fields": dict(fact.fields),
            "text": sentence(fact),
        }


class FactLog:
    """Keeps the last facts of this daemon and passes new ones on."""

    def __init__(self) -> None:
        self._kept: deque[Told] = deque(maxlen=KEPT)
        self._followers: list[asyncio.Queue[Told]] = []
        self._forward: Callable[[Told], None] = lambda _told: None

    def forward(self, to: Callable[[Told], None]) -> None:
        """Call `to` with every fact from now on."""
        self._forward = to

    def tell(self, fact: Fact) -> None:
        """Log a fact, keep it, and pass it on."""
        told = Told(time.time(), fact)
        level = logging.WARNING if fact.kind in WARNINGS else logging.INFO
        if _log.isEnabledFor(level):
            fields = {"kind": fact.kind, "pool": fact.pool, "worker": fact.worker, **fact.fields}
            _log.log(level, "%s", made_visible(sentence(fact)), extra={"fields": fields})
        self._kept.append(told)
        self._forward(told)
        for follower in self._followers:
            if follower.full():
                follower.get_nowait()
            follower.put_nowait(told)

    def last(self, n: int) -> list[Told]:
        """The last `n` facts, oldest first."""
        return list(self._kept)[-n:] if n > 0 else []

    @contextmanager
    def following(self) -> Generator[NewFacts]:
        """Facts as they are told, from now on."""
        queue: asyncio.Queue[Told] = asyncio.Queue(BEHIND)
        self._followers.append(queue)
        try:
            yield NewFacts(queue)
        finally:
            self._followers.remove(queue)


class NewFacts:
    """Facts as they are told."""

    def __init__(self, queue: asyncio.Queue[Told]) -> None:
        self._queue = queue

    async def __aiter__(self) -> AsyncIterator[Told]:
        while True:
            yield await self._queue.get()

    def waiting(self) -> list[Told]:
        """Those that were told and not taken yet, which are taken with this."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]
