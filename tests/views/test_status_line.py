"""The daemon in one line, made from real decisions of the core."""

from __future__ import annotations

import pytest

from fleetd.core.chance import Chance
from fleetd.core.events import (
    PauseRequested,
    RestartRequested,
    ShutdownRequested,
    Source,
    StopRequested,
    Target,
)
from fleetd.core.membership import Membership
from fleetd.core.records import RunRecord
from fleetd.core.spec import FleetSpec, GiveUp, Launch, LineMeaning, PoolSpec
from fleetd.core.state import State
from fleetd.views.status_line import LONGEST, duration, status_line
from tests.support.world import World


def pool(name: str = "media", numprocs: int = 1, **keys: object) -> PoolSpec:
    return PoolSpec(name, Launch(("true",)), numprocs=numprocs, healthy_after=0.0, **keys)  # type: ignore[arg-type]


def working(*pools: PoolSpec, membership: Membership | None = None) -> World:
    """A host whose workers are all healthy."""
    world = World(FleetSpec({each.name: each for each in pools}), membership=lambda: membership)
    for _ in range(2 * len(pools)):
        let_act(world)
    return world


def let_act(world: World) -> None:
    world.let_each_act()
    world.wait(1)
    world.let_each_act()


def line(world: World, note: str | None = None) -> str:
    return status_line(world.state, world.now, note)


def busy(world: World, count: int) -> None:
    for run in list(world.workers)[:count]:
        world.job(run, LineMeaning.STARTED, "x", Source.SOCKET)


def member(**keys: object) -> Membership:
    return Membership("acme", "h1", "h1/media", is_known=True, connected=True, **keys)  # type: ignore[arg-type]


# -- at work -----------------------------------------------------------------------------------------------------------


def test_all_is_well() -> None:
    world = working(pool(numprocs=12), membership=member(epochs={"restart-epoch": 1_790_000_123}))
    busy(world, 3)

    assert line(world) == "12/12 workers, 3 busy, epoch 1790000123"


def test_nobody_guesses_who_is_busy_where_workers_do_not_tell() -> None:
    assert line(working(pool(numprocs=2))) == "2/2 workers"
    assert line(working(pool(numprocs=2, reports_starts=True))) == "2/2 workers, 0 busy"


def test_no_worker_of_it_has_come_up_yet() -> None:
    world = World(FleetSpec({"media": pool(numprocs=3), "late": pool("late", after=("media",))}))

    assert line(world) == "0/4 workers, 4 starting"


def test_workers_that_fail_are_told_from_those_that_start() -> None:
    world = working(pool(numprocs=3, give_up=GiveUp(1, 60.0)))
    world.exit(next(iter(world.workers)), 1)

    assert line(world) == "2/3 workers, 1 failing"


def test_a_planned_exit_is_no_dip() -> None:
    world = working(pool(numprocs=3))
    world.exit(next(iter(world.workers)), 0)

    assert line(world) == "3/3 workers"


def test_a_halted_rollout_says_why() -> None:
    world = working(pool(numprocs=2), pool("other"))
    world.directory = "/releases/2"
    world.broken = frozenset({"/releases/2"})
    world.step(RestartRequested(1, (Target("media"),)))
    assert line(world).endswith("; media: rolling (0 of 2)")
    let_act(world)

    assert line(world) == "3/3 workers; media: rollout halted at 0 of 2: media:0: exited with code 1 (exit)"


def test_what_operators_took_out() -> None:
    world = working(*(pool(f"p{i}") for i in range(9)), pool("calm", pause_signal=12, resume_signal=10), pool("last"))
    world.step(StopRequested(tuple(Target(f"p{i}") for i in range(7)), now=False))
    world.step(PauseRequested((Target("calm"),)))
    for _ in range(7):
        let_act(world)

    assert line(world) == "3/3 workers; paused: calm; stopped: p0, p1, p2, p3, p4 and 2 more"


def test_out_of_its_fleet() -> None:
    lost, taken = member(), member(held_by_other=True)
    lost.connected = False

    assert line(working(pool(), membership=lost)) == "1/1 worker; fleet acme: out of reach"
    assert line(working(pool(), membership=taken)) == "1/1 worker; fleet acme: another daemon is h1/media"


# -- the beginning and the end -----------------------------------------------------------------------------------------


def test_a_start() -> None:
    state = State(Chance(2))
    assert status_line(state, 0.0) == "starting"

    state.adopted = tuple(RunRecord(run, "media", 0, 0, 0.0) for run in ("a", "b"))
    assert status_line(state, 0.0) == "starting: 2 workers of an earlier daemon to take over"


def test_a_drain() -> None:
    world = working(pool(numprocs=3, stop_timeout=250.0))
    for worker in world.workers.values():
        worker.deaf = True
    busy(world, 2)
    world.step(ShutdownRequested())
    assert line(world) == "draining: 3 workers left, 2 busy, the longest has 4 min 10 s"

    for run in list(world.workers)[:2]:
        world.exit(run)
    world.wait(239.5)
    assert line(world) == "draining: 1 worker left, with 11 s to go"

    world.wait(10.6)
    assert line(world) == "draining: 1 worker left, killed"
    let_act(world)
    assert line(world) == "stopped"


def test_a_drain_that_is_cut_short() -> None:
    world = working(pool(numprocs=2, stop_timeout=250.0))
    for worker in world.workers.values():
        worker.deaf = True
    world.step(ShutdownRequested(now=True))

    assert line(world) == "ending at once: 2 workers left, the longest has 5 s"


# -- what it is made of ------------------------------------------------------------------------------------------------


def test_a_note_comes_last() -> None:
    assert line(working(pool()), "the last reload changed nothing") == "1/1 worker; the last reload changed nothing"


def test_it_is_one_line_without_control_characters_whatever_is_in_it() -> None:
    told = line(working(pool()), "a\nb\tc\x1b[31md\u202ee\x9b")

    assert told == "1/1 worker; a\\x0ab cd\\u202ee\\x9b"
    assert told.isprintable()


def test_it_is_never_long() -> None:
    told = line(working(pool()), "x" * 9000)

    assert len(told) == LONGEST
    assert told.endswith("x…")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.1, "1 s"),
        (59.5, "1 min"),
        (250, "4 min 10 s"),
        (3599.2, "1 h"),
        (7500, "2 h 5 min"),
        (7384, "2 h 3 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
