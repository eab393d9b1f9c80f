"""Queues in a Redis as frameworks lay them out, for tests of the reader."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis

from fleetd.brokers.redis.broker import RedisBroker
from fleetd.core.queues import Depth, Place
from fleetd.frameworks.places import Places
from tests.support.redis_server import RedisServer

T = TypeVar("T")

# The job itself in the list, as Laravel has it; its id in the list and all else in a hash, as RQ has it; its id in the
# list and its payload in a field of one hash, as Dramatiq has it.  A name in {} keeps a
# queue's keys together in a Cluster.
PAYLOADS = Places(
    ready=("{prefix}queues:{queue}",),
    delayed=("{prefix}queues:{queue}:delayed",),
    reserved=("{prefix}queues:{queue}:reserved",),
    prefix="app_database_",
    oldest="first",
    enqueued_at=("createdAt", "meta.pushedAt"),
)
RECORDS = Places(
    ready=("{prefix}{{queue}}:wait", "{prefix}{{queue}}:prioritized"),
    delayed=("{prefix}{{queue}}:delayed",),
    reserved=("{prefix}{{queue}}:active",),
    prefix="bull:",
    due_unit=4096000,
    oldest="last",
    enqueued_at=("timestamp",),
    record="{prefix}{{queue}}:{job}",
)
MESSAGES = Places(
    ready=("{prefix}{{queue}}",),
    prefix="dramatiq:",
    oldest="first",
    enqueued_at=("message_timestamp",),
    record="{prefix}{{queue}}.msgs",
    record_field="{job}",
)
PADDING = '\\" {}[],:é' * 4000  # more than is read of a payload, and everything that might confuse

ODD: tuple[bytes, ...] = (
    b"",
    b"\xff\xfe\x00",
    b"{}",
    b"[]",
    b"null",
    b"17",
    b'"text"',
    b"{" * 50_000,
    b"[" * 50_000,
    b'{"createdAt":',
    b'{"createdAt":null,"meta":7}',
    b'{"createdAt":{"a":[1]},"meta":{"pushedAt":true}}',
    b'{"createdAt":"yesterday"}',
    b'{"createdAt":-1}',
    b'{"createdAt":1e999}',
    b'{"createdAt":' + b"9" * 400 + b"}",
    b'{"createdAt":NaN}',
    b'"' * 40_000,
    b"\\" * 40_000,
    b"x" * 5_000_000,
)

EMPTY = Depth(ready=0, delayed=0, due=0, reserved=0)


@dataclass(slots=True)
class RedisWorld:
    """See tests/brokers/contract.py; `client` writes, and is never the broker's own."""

    broker: RedisBroker
    client: Any
    places: Places
    runner: asyncio.Runner
    reach: Any
    tells: frozenset[str] = frozenset({"delayed", "due", "reserved", "oldest"})
    absent: Depth = EMPTY
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(self, steps: Awaitable[T]) -> T:
        async def wrapped() -> T:
            return await steps

        return self.runner.run(wrapped())

    def place(self, queue: str) -> Place:
        return self.places.of(queue)

    def enqueue(self, queue: str, count: int = 1, *, at: float | None = None) -> None:
        for _ in range(count):
            self._push(queue, self._job(queue, time.time() if at is None else at))

    def _job(self, queue: str, at: float) -> bytes:
        """What stands in the list for a job; where that is an id, its record is made."""
        place, job = self.place(queue), f"job-{next(self.numbers)}"
        if place.record is None:
            return json.dumps({"uuid": job, "data": {"command": PADDING}, "createdAt": int(at)}).encode()
        if place.record_field is None:
            self.client.hset(place.record.replace("{job}", job), mapping={"name": "n", "timestamp": int(at * 1000)})
        else:
            message = json.dumps({"args": [PADDING], "message_id": job, "message_timestamp": int(at * 1000)})
            self.client.hset(place.record, job, message)
        return job.encode()

    def _push(self, queue: str, job: bytes) -> None:
        place = self.place(queue)
        (self.client.rpush if place.oldest == "first" else self.client.lpush)(place.ready[0], job)

    def enqueue_odd(self, queue: str) -> int:
        for payload in ODD:
            self._push(queue, payload)
        return len(ODD)

    def delay(self, queue: str, seconds: float, count: int = 1) -> None:
        place = self.place(queue)
        for key, _ in itertools.product(place.delayed, range(count)):
            self.client.zadd(key, {f"job-{next(self.numbers)}": (time.time() + seconds) * place.due_unit})

    def reserve(self, queue: str, count: int) -> None:
        place = self.place(queue)
        for number in range(count):
            taken = self.client.lpop(place.ready[0]) if place.oldest == "first" else self.client.rpop(place.ready[0])
            assert taken is not None
            for key in place.reserved:
                if place.due_unit == 1:
                    self.client.zadd(key, {f"{number}-{next(self.numbers)}": time.time() + 90})
                else:  # BullMQ's is a list
                    self.client.lpush(key, taken)

    def drain(self, queue: str) -> None:
        self.client.delete(*self.place(queue).ready[:1])

    def out_of_reach(self) -> AbstractContextManager[None]:
        reach: AbstractContextManager[None] = self.reach()
        return reach


@contextmanager
def redis_world(url: str, client: Any, places: Places, reach: Any) -> Iterator[RedisWorld]:
    """A world whose broker is closed at the end; `reach` is its `out_of_reach`."""
    with asyncio.Runner() as runner:
        world = RedisWorld(RedisBroker(url), client, places, runner, reach)
        if not places.delayed:
            world.tells, world.absent = frozenset({"oldest"}), Depth(ready=0)
        try:
            yield world
        finally:
            world.run(world.broker.close())


@contextmanager
def restarted(server: RedisServer) -> Iterator[None]:
    """Meanwhile the server is gone; afterwards it is empty."""
    server.stop()
    try:
        yield
    finally:
        server.start()


def raw_client(server: RedisServer) -> redis.Redis:
    """A client that takes and gives bytes; to be closed."""
    return redis.Redis(unix_socket_path=str(server.socket_path), socket_timeout=10)
