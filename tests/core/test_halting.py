"""A halted rollout: what it holds, and how it goes on."""

from __future__ import annotations

from fleetd.core import halting
from fleetd.core.events import RestartRequested, SaidReady, Source, Target
from fleetd.core.roll import Roll, RollError, RollState
from fleetd.core.spec import FleetSpec, Launch, PoolSpec, Ready
from fleetd.core.state import Moment, Pool
from fleetd.core.turn import Turn
from tests.support.world import UNIX, World


def rolling_world() -> tuple[World, Pool, Roll]:
    """Two pools that are rolled by one request, each with its first replacement on its way."""
    pools = {name: PoolSpec(name, Launch(("w",)), numprocs=2, ready=Ready.LINE) for name in ("mail", "media")}
    world = World(FleetSpec(pools))
    for run in list(world.ordered):
        world.answer_spawn(run)
        world.step(SaidReady(run, Source.SOCKET))
    world.wait(1.5)
    world.step(RestartRequested(world.new_roll(), (Target("mail"), Target("media"))))
    pool = world.state.pools["media"]
    assert pool.roll is not None
    return world, pool, pool.roll


def test_pools_of_one_request_are_rolled_together() -> None:
    world, _, roll = rolling_world()
    assert [pool.name for pool, _ in halting.together(world.state, roll)] == ["mail"]
    assert halting.together(world.state, Roll(halting.ALONE, roll.release, frozenset(), set(), 0.0)) == []


def test_a_failure_halts_every_pool_of_the_request() -> None:
    world, pool, roll = rolling_world()
    failed = next(run for run, spawn in world.ordered.items() if spawn.pool == "media")
    world.answer_spawn(failed, error="no such program")
    other = world.state.pools["mail"].roll
    assert other is not None
    assert (roll.state, other.state) == (RollState.HALTED, RollState.HALTED)
    assert roll.error == other.error == RollError(f"media:{0}", "no such program", ("no such program",))
    assert roll.pending == {0, 1}
    assert pool.surging == set()


def test_halted_elsewhere_and_resumed() -> None:
    world, pool, roll = rolling_world()
    turn = Turn(world.state, Moment(world.now, UNIX + world.now))
    halting.halt_elsewhere(turn, pool, roll, RollError("h2/app", "halted by h2/app"))
    assert (roll.state, roll.halted_elsewhere, roll.active, roll.pending) == (RollState.HALTED, True, set(), {0, 1})
    halting.resume(turn, pool, roll)
    assert (roll.state, roll.halted_elsewhere, roll.error, roll.ended) == (RollState.WAITING, False, None, None)
    assert turn.must_remember
