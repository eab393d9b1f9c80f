"""What every implementation of the Broker port must do.

A test module subclasses BrokerContract and gives it a fixture `world`: a broker, and how jobs get into its queues.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import pytest

from fleetd.brokers.port import Broker
from fleetd.core.queues import Depth, Place
from fleetd.errors import FleetdError, UnreachableError

T = TypeVar("T")
LONGEST = 12.0  # seconds for any read: what the port calls "a few", and some for a busy machine
CLOCKS = 2.0  # seconds that the test's own idea of a time may be off
SECRET = "S3cretWord"


class World(Protocol):
    """One broker under test.  Queues of a world are empty at first, and of its own."""

    broker: Broker
    tells: frozenset[str]  # which of "delayed", "due", "reserved", "oldest" this broker can tell at all
    absent: Depth  # what it tells of a queue that is not there

    def run(self, steps: Awaitable[T]) -> T:
        """Run a coroutine in the world's loop."""
        ...

    def place(self, queue: str) -> Place:
        """Where that queue stands."""
        ...

    def enqueue(self, queue: str, count: int = 1, *, at: float | None = None) -> None:
        """Put jobs behind those that are there; `at`: the Unix time that they carry, as far as jobs carry one."""
        ...

    def enqueue_odd(self, queue: str) -> int:
        """Put jobs whose payloads make no sense, in as many ways as there are; how many."""
        ...

    def delay(self, queue: str, seconds: float, count: int = 1) -> None:
        """Put jobs that are to wait until then; less than 0: that time has come."""
        ...

    def reserve(self, queue: str, count: int) -> None:
        """Let workers take jobs that are ready, and keep them."""
        ...

    def drain(self, queue: str) -> None:
        """Take all that is ready."""
        ...

    def out_of_reach(self) -> AbstractContextManager[None]:
        """Meanwhile the broker does not answer; afterwards it has all it had, or nothing."""
        ...


class BrokerContract:
    """The tests; each asks only for what the world's broker tells."""

    def depth(self, world: World, queue: str = "default") -> Depth:
        return world.run(world.broker.read([world.place(queue)]))[world.place(queue)]

    def test_no_queues_are_no_answer(self, world: World) -> None:
        assert dict(world.run(world.broker.read([]))) == {}

    def test_a_queue_that_is_not_there(self, world: World) -> None:
        assert self.depth(world, "nowhere") == world.absent

    def test_jobs_that_are_ready(self, world: World) -> None:
        world.enqueue("default", 3)
        world.enqueue("other", 2)
        places = [world.place("default"), world.place("other"), world.place("nowhere")]
        read = world.run(world.broker.read(places))
        assert set(read) == set(places)
        assert [read[place].ready for place in places] == [3, 2, world.absent.ready]
        world.enqueue("default")
        assert self.depth(world).ready == 4
        world.drain("default")
        assert self.depth(world).ready == 0

    def test_jobs_that_wait_for_their_time(self, world: World) -> None:
        world.enqueue("default")
        world.delay("default", 600, 3)
        if "due" in world.tells:
            world.delay("default", -600, 2)
        depth = self.depth(world)
        assert depth.ready == 1
        assert depth.delayed == (3 if "delayed" in world.tells else None)
        assert depth.due == (2 if "due" in world.tells else None)
        assert depth.waiting == (3 if "due" in world.tells else 1)

    def test_jobs_in_hand(self, world: World) -> None:
        world.enqueue("default", 5)
        world.reserve("default", 2)
        depth = self.depth(world)
        assert depth.ready == 3
        assert depth.reserved == (2 if "reserved" in world.tells else None)

    def test_the_oldest_job(self, world: World) -> None:
        now = time.time()
        world.enqueue("default", at=now - 3600)
        world.enqueue("default", 2, at=now - 60)
        oldest = self.depth(world).oldest_at
        if "oldest" not in world.tells:
            assert oldest is None
            return
        assert oldest == pytest.approx(now - 3600, abs=CLOCKS)
        world.reserve("default", 1)
        assert self.depth(world).oldest_at == pytest.approx(now - 60, abs=CLOCKS)
        world.drain("default")
        assert self.depth(world).oldest_at is None

    def test_payloads_that_make_no_sense_are_counted_all_the_same(self, world: World) -> None:
        count = world.enqueue_odd("default")
        for left in range(count, 0, -1):
            depth = self.depth(world)
            assert depth.ready == left
            assert depth.oldest_at is None or "oldest" in world.tells
            world.reserve("default", 1)
        assert self.depth(world).ready == 0

    def test_out_of_reach_and_back(self, world: World) -> None:
        world.enqueue("default", 3)
        assert self.depth(world).ready == 3
        with world.out_of_reach():
            for _ in range(2):
                began = time.monotonic()
                with pytest.raises(FleetdError) as caught:
                    self.depth(world)
                assert caught.type is UnreachableError
                assert time.monotonic() - began < LONGEST
                assert "\n" not in str(caught.value)
                assert SECRET not in str(caught.value)
        assert self.depth(world).ready in {3, 0, None}
        world.enqueue("default")
        assert self.depth(world).ready in {4, 1}

    def test_closed(self, world: World) -> None:
        world.enqueue("default")
        assert self.depth(world).ready == 1
        world.run(world.broker.close())
        world.run(world.broker.close())
