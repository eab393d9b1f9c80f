"""Laravel's table of jobs in a database, for tests of the reader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from fleetd.brokers import sql
from fleetd.brokers.port import Broker
from fleetd.core.queues import Depth, Place
from fleetd.core.spec import BrokerSpec
from tests.support.databases import Execute, laravel_place, make_laravel

T = TypeVar("T")
NO_ROWS = Depth(ready=0, delayed=0, reserved=0)
ODD = ("", "{}", "null", "{" * 50_000, "x" * 60_000, "é'\"\\%s:queue")


@dataclass(slots=True)
class SqlWorld:
    """See tests/brokers/contract.py; `execute` is of another connection than the broker's."""

    broker: Broker
    execute: Execute
    runner: asyncio.Runner
    reach: Callable[[], AbstractContextManager[None]]
    tells: frozenset[str] = frozenset({"delayed", "reserved", "oldest"})
    absent: Depth = NO_ROWS

    def run(self, steps: Awaitable[T]) -> T:
        async def wrapped() -> T:
            return await steps

        return self.runner.run(wrapped())

    def place(self, queue: str) -> Place:
        return laravel_place(queue)

    def enqueue(self, queue: str, count: int = 1, *, at: float | None = None) -> None:
        for _ in range(count):
            self._insert(queue, "{}", int(time.time() if at is None else at))

    def enqueue_odd(self, queue: str) -> int:
        for payload in ODD:
            self._insert(queue, payload, 0)
        return len(ODD)

    def delay(self, queue: str, seconds: float, count: int = 1) -> None:
        for _ in range(count):
            self._insert(queue, "{}", int(time.time() + seconds))

    def reserve(self, queue: str, count: int) -> None:
        first = "SELECT MIN(id) FROM (SELECT id FROM jobs WHERE queue = ? AND reserved_at IS NULL) AS waiting"
        for _ in range(count):
            self.execute(f"UPDATE jobs SET reserved_at = ? WHERE id = ({first})", (int(time.time()), queue))

    def drain(self, queue: str) -> None:
        self.execute("DELETE FROM jobs WHERE queue = ? AND reserved_at IS NULL AND available_at <= ?", (queue, _LATER))

    def out_of_reach(self) -> AbstractContextManager[None]:
        return self.reach()

    def _insert(self, queue: str, payload: str, at: int) -> None:
        columns = "(queue, payload, attempts, reserved_at, available_at, created_at)"
        self.execute(f"INSERT INTO jobs {columns} VALUES (?, ?, 0, NULL, ?, ?)", (queue, payload, at, at))


_LATER = 2_000_000_000


@contextmanager
def sql_world(
    url: str, execute: Execute, identity: str, reach: Callable[[], AbstractContextManager[None]]
) -> Iterator[SqlWorld]:
    """A world with an empty table; `identity` is the type of an id that counts up by itself."""
    make_laravel(execute, "default", identity, ready=0, delayed=0, reserved=0)
    with asyncio.Runner() as runner:
        world = SqlWorld(sql.open(BrokerSpec("sql", url)), execute, runner, reach)
        yield world
        world.run(world.broker.close())
