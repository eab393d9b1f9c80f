"""Looking at the memory of workers that have a limit: one timer for all of them, none where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fleetd.core.events import Event, MemorySampled
from fleetd.core.spec import FleetSpec
from fleetd.shell.samples import resident

EVERY = 5.0  # seconds


class MemoryWatch:
    """`running` answers the pool and the pid of each run."""

    def __init__(self, running: Callable[[], Mapping[str, tuple[str, int]]], post: Callable[[Event], None]) -> None:
        self._running = running
        self._post = post
        self._limited: frozenset[str] = frozenset()  # pools
        self._trees: frozenset[str] = frozenset()  # those of which all that a worker started counts
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, spec: FleetSpec) -> None:
        """Look at the pools that have a limit in this spec."""
        limited = {name: pool for name, pool in spec.pools.items() if pool.max_memory is not None}
        self._limited = frozenset(limited)
        self._trees = frozenset(name for name, pool in limited.items() if pool.max_memory_of_tree)
        self._arm()

    def _arm(self) -> None:
        if self._limited and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def _look(self) -> None:
        self._timer = None
        running = {run: each for run, each in self._running().items() if each[0] in self._limited}
        if running:
            trees = [run for run, (pool, _) in running.items() if pool in self._trees]
            self._post(MemorySampled(resident({run: pid for run, (_, pid) in running.items()}, trees)))
        self._arm()
