"""How long a drain of everything may take: from the spec, and as it goes."""

from __future__ import annotations

import pytest

from fleetd.core.drain_time import END_MARGIN, KILL_MARGIN, drained_by, grace_period, longest_drain
from fleetd.core.events import AskedForTime, ShutdownRequested
from fleetd.core.spec import FleetSpec, Launch, PoolSpec
from tests.support.world import World


def pool(name: str, stop_timeout: float, *after: str, **keys: object) -> PoolSpec:
    return PoolSpec(name, Launch(("true",)), stop_timeout=stop_timeout, after=after, healthy_after=0.0, **keys)  # type: ignore[arg-type]


def spec(*pools: PoolSpec) -> FleetSpec:
    return FleetSpec({each.name: each for each in pools})


def pass_time(world: World, seconds: float) -> None:
    world.let_each_act()
    world.wait(seconds)
    world.let_each_act()


def settle(world: World) -> None:
    for _ in range(10):
        pass_time(world, 1)
    assert all(pool.came_up for pool in world.state.pools.values())


def test_pools_that_do_not_wait_for_each_other_drain_side_by_side() -> None:
    assert longest_drain(spec(pool("a", 10), pool("b", 60), pool("c", 30))) == 60 + KILL_MARGIN


def test_a_chain_drains_one_pool_after_the_other() -> None:
    chain = spec(pool("db", 10), pool("api", 20, "db"), pool("web", 30, "api"), pool("else", 50))

    assert longest_drain(chain) == 60 + 3 * KILL_MARGIN


def test_a_pool_waits_for_the_slowest_of_those_that_come_after_it() -> None:
    forked = spec(pool("fast", 1, "first"), pool("slow", 40, "first"), pool("first", 5))

    assert longest_drain(forked) == 45 + 2 * KILL_MARGIN


def test_who_waits_for_the_daemon_waits_a_little_longer() -> None:
    assert grace_period(spec(pool("a", 10.2))) == 16 + END_MARGIN


def test_a_drain_that_is_stuck_is_over_in_the_past() -> None:
    """What cannot be killed must not be waited for without end."""
    world = World(spec(pool("media", 10)))
    settle(world)
    (worker,) = world.workers.values()
    worker.deaf = True
    world.step(ShutdownRequested())
    ends = drained_by(world.state, world.now)
    world.wait(1000)

    assert world.workers
    assert drained_by(world.state, world.now) == ends < world.now


def test_nothing_takes_no_time() -> None:
    assert longest_drain(FleetSpec({})) == 0.0


@pytest.mark.parametrize(("start_timeout", "longest"), [(60.0, 60.0), (3.0, 10.0)])
def test_an_import_under_way_is_waited_for(start_timeout: float, longest: float) -> None:
    preloaded = PoolSpec("media", Launch((), entry="app:main"), stop_timeout=10.0, start_timeout=start_timeout)

    assert longest_drain(spec(preloaded)) == longest + KILL_MARGIN


def test_the_drain_of_a_host_is_over_in_time_however_deaf_its_workers_are() -> None:
    """What was foreseen is what the core does, to the second."""
    foreseen = spec(pool("db", 10, numprocs=2), pool("api", 20, "db"), pool("web", 30, "api"), pool("else", 50))
    world = World(foreseen)
    settle(world)
    for worker in world.workers.values():
        worker.deaf = True
    began = world.now
    world.step(ShutdownRequested())
    ends = drained_by(world.state, world.now)
    assert ends == began + longest_drain(foreseen)

    while world.workers:
        assert drained_by(world.state, world.now) <= ends
        pass_time(world, 1)
    assert began + 60 <= world.now <= ends
    assert drained_by(world.state, world.now) == world.now


def test_a_worker_that_is_given_more_time_moves_the_end() -> None:
    world = World(spec(pool("media", 10)))
    settle(world)
    (worker,) = world.workers.values()
    worker.deaf = True
    world.step(ShutdownRequested())
    world.step(AskedForTime(worker.run, 300.0))

    assert drained_by(world.state, world.now) == world.now + 300 + KILL_MARGIN


def test_at_once_is_soon() -> None:
    world = World(spec(pool("media", 3600), pool("late", 3600, "media")))
    settle(world)
    for worker in world.workers.values():
        worker.deaf = True
    world.step(ShutdownRequested(now=True))

    assert drained_by(world.state, world.now) == world.now + 5 + KILL_MARGIN
