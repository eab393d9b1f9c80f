"""P1: every exit is reported as it was, and of what a run started nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from fleetd.shell.cgroup import name_of, usable_folder
from tests.support.process_world import (
    PROGRAMS,
    PYTHON,
    World,
    alive,
    children_of,
    eventually,
    killed_at_the_end,
    with_run,
)
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process


def cgroups_work() -> bool:
    folder = usable_folder(f"fleetd-asked-{os.getpid()}")
    if folder is not None:
        folder.rmdir()
    return folder is not None


NEEDS_CGROUP = pytest.mark.skipif(not cgroups_work(), reason="no cgroup v2 that this user may make cgroups in")
EACH_WAY = pytest.mark.parametrize(
    "cgroups", [pytest.param(True, marks=NEEDS_CGROUP, id="cgroup"), pytest.param(False, id="proc")]
)


def in_world(folder: Path, test: Callable[[World], Coroutine[Any, Any, None]], *, cgroups: bool = True) -> None:
    async def run() -> None:
        world = World(folder, "ends", cgroups=cgroups)
        world.processes.begin()
        try:
            await test(world)
        finally:
            await world.end()

    asyncio.run(run())


def test_exit_codes_and_signals(short_path: Path) -> None:
    async def test(world: World) -> None:
        for code in (0, 1, 12, 255):
            world.spawn(f"code {code}", "sh", "-c", f"exit {code}")
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            world.spawn(f"signal {number}", "sh", "-c", f"kill -{number} $$")
        for code in (0, 1, 12, 255):
            assert await world.until("exited", f"code {code}") == (code, None)
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            assert await world.until("exited", f"signal {number}") == (None, number)

    in_world(short_path, test)


def test_p2_a_signal_reaches_the_main_process_only(short_path: Path) -> None:
    async def test(world: World) -> None:
        world.spawn(
            "r1", "sh", "-c", "trap 'echo main; exit 3' TERM; (trap 'echo child' TERM; echo up; sleep 100) & wait"
        )
        await world.until_read("r1", "up")
        assert world.processes.signal("r1", signal.SIGTERM)
        assert await world.until("exited", "r1") == (3, None)
        assert "child" not in world.read("r1")
        assert not world.processes.signal("r1", signal.SIGTERM), "it has ended"
        assert not world.processes.signal("unknown", signal.SIGTERM)

    in_world(short_path, test)


@EACH_WAY
def test_p1_the_deaf_are_killed_with_their_children(short_path: Path, cgroups: bool) -> None:
    async def test(world: World) -> None:
        world.spawn("r1", str(PROGRAMS / "deaf.sh"))
        await world.until_read("r1", "deaf")
        pid, _ = await world.until("spawned", "r1")
        (child,) = children_of(pid)
        world.processes.signal("r1", signal.SIGTERM)
        assert alive(pid)
        assert await world.processes.kill("r1") == ()
        assert not alive(pid)
        assert not alive(child)
        assert await world.until("exited", "r1") == (None, signal.SIGKILL)

    in_world(short_path, test, cgroups=cgroups)


@EACH_WAY
def test_p1_a_child_left_behind_is_found_and_killed(short_path: Path, cgroups: bool) -> None:
    async def test(world: World) -> None:
        world.spawn("r1", str(PROGRAMS / "leaves_child.sh"), "7")
        assert await world.until("exited", "r1") == (7, None), "the child, which holds the pipe, holds nothing up"
        child = int(world.read("r1").split()[1])
        assert alive(child)
        assert not world.processes.trees.is_empty("r1")
        assert await world.processes.kill("r1") == ()
        assert not alive(child)
        assert world.processes.trees.is_empty("r1")

    in_world(short_path, test, cgroups=cgroups)


@pytest.mark.parametrize("looked", ["before it is killed", "after"])
def test_p1_a_child_left_behind_by_a_run_of_whose_end_the_keeper_told_last(short_path: Path, looked: str) -> None:
    """The keeper's children go elsewhere at its end, which nobody has noticed yet."""

    async def test(world: World) -> None:
        world.spawn("r1", str(PROGRAMS / "leaves_child.sh"), "7")
        assert await world.until("exited", "r1") == (7, None)
        child, keeper = int(world.read("r1").split()[1]), world.processes.keeper_pid
        assert keeper is not None
        if looked == "before it is killed":
            assert not world.processes.trees.is_empty("r1")
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: not alive(keeper), "the keeper's end, while the loop stands")
        with killed_at_the_end(child):
            assert not world.processes.trees.is_empty("r1")
            assert await world.processes.kill("r1") == ()
            assert not alive(child)

    in_world(short_path, test, cgroups=False)


@EACH_WAY
@pytest.mark.parametrize("how", ["plain", "clean"])
def test_p1_a_daemon_of_its_own_session(short_path: Path, cgroups: bool, how: str) -> None:
    async def test(world: World) -> None:
        world.spawn("r1", str(PROGRAMS / "daemonizes.sh"), how)
        pid = int((await world.until_read("r1", "daemon")).split()[1])
        await eventually(
            lambda: f" {world.processes.keeper_pid} " in Path(f"/proc/{pid}/stat").read_text(), "the orphan"
        )
        with killed_at_the_end(pid):
            assert await world.processes.kill("r1") == ()
            if cgroups or how == "plain":
                assert not alive(pid)
            else:
                assert world.processes.trees.strays() == (pid,), "what has left everything is reported"

    in_world(short_path, test, cgroups=cgroups)


def test_p1_a_daemon_that_becomes_another_program_all_the_time(short_path: Path) -> None:
    """In the middle of an exec a process has no environment, by which it would be known: at some of these looks."""

    async def test(world: World) -> None:
        world.spawn("r1", str(PROGRAMS / "becomes.sh"))
        pid = int((await world.until_read("r1", "daemon")).split()[1])
        await eventually(lambda: children_of(world.processes.keeper_pid or 0).count(pid), "the orphan")
        with killed_at_the_end(pid):
            for _ in range(500):
                world.processes.trees.invalidate()
                world.processes.trees._hunt._runs.clear()  # as if it had just been started
                assert not world.processes.trees.is_empty("r1")
            assert await world.processes.kill("r1") == ()
            assert not alive(pid)

    in_world(short_path, test, cgroups=False)


@EACH_WAY
def test_p1_processes_that_fork_all_the_time(short_path: Path, cgroups: bool) -> None:
    run = f"forks-{os.getpid()}"

    async def test(world: World) -> None:
        world.spawn(run, PYTHON, "-S", str(PROGRAMS / "forks.py"))
        await world.until_read(run, "forking")
        assert await world.processes.kill(run) == ()
        await world.until("exited", run)
        assert world.processes.trees.is_empty(run)
        assert with_run(run) == []

    in_world(short_path, test, cgroups=cgroups)


@EACH_WAY
def test_p1_one_run_is_killed_and_its_neighbour_is_not(short_path: Path, cgroups: bool) -> None:
    async def test(world: World) -> None:
        for run in ("r1", "r2"):
            world.spawn(run, str(PROGRAMS / "daemonizes.sh"))
        pids = [int((await world.until_read(run, "daemon")).split()[1]) for run in ("r1", "r2")]
        assert await world.processes.kill("r1") == ()
        await world.until("exited", "r1")
        assert [alive(pid) for pid in pids] == [False, True]
        assert world.told_of("exited", "r2") is None
        assert not world.processes.trees.is_empty("r2")

    in_world(short_path, test, cgroups=cgroups)


@EACH_WAY
def test_a_kill_before_the_start_is_answered(short_path: Path, cgroups: bool) -> None:
    async def test(world: World) -> None:
        keeper = world.processes.keeper_pid
        for number in range(20):
            world.spawn(f"r{number}", "sleep", "1000")
        assert set(await asyncio.gather(*[world.processes.kill(f"r{number}") for number in range(20)])) == {()}
        for number in range(20):
            assert await world.until("exited", f"r{number}") == (None, signal.SIGKILL)
        assert world.processes.keeper_pid == keeper

    in_world(short_path, test, cgroups=cgroups)


@EACH_WAY
def test_200_at_once(short_path: Path, cgroups: bool) -> None:
    async def test(world: World) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        for number in range(200):
            world.spawn(f"r{number}", "sleep", "1000", notify=str(short_path / f"n{number}"))
        for number in range(200):
            await world.until("spawned", f"r{number}")
        started = clock()
        await asyncio.gather(*[world.processes.kill(f"r{number}") for number in range(200)])
        for number in range(200):
            await world.until("exited", f"r{number}")
        print(f"200 started in {started - began:.3f} s, killed in {clock() - started:.3f} s")
        pids = [world.told_of("spawned", f"r{number}")[0] for number in range(200)]
        assert len(set(pids)) == 200
        assert not any(alive(pid) for pid in pids)

    in_world(short_path, test, cgroups=cgroups)


@NEEDS_CGROUP
@pytest.mark.parametrize("times", range(5))
def test_no_cgroup_is_left_of_an_instance_that_ended(short_path: Path, times: int) -> None:
    folder = usable_folder(name_of(f"gone{times}", short_path))
    assert folder is not None

    async def run() -> None:
        world = World(short_path, f"gone{times}")
        world.processes.begin()
        world.spawn("r1", "sleep", "100")
        await world.until("spawned", "r1")
        assert folder.exists()
        await world.end()

    asyncio.run(run())
    assert not folder.exists()


@NEEDS_CGROUP
def test_instances_of_one_name_leave_each_others_workers_alone(short_path: Path) -> None:
    places = [short_path / "a", short_path / "b"]

    async def run() -> None:
        first, second = (World(place, "twin") for place in places)
        for world in (first, second):
            world.processes.begin()
        first.spawn("r1", "sleep", "100")
        await first.until("spawned", "r1")
        second.leave()
        third = World(places[1], "twin")  # sweeps what nobody holds
        third.processes.begin()
        assert first.told_of("exited", "r1") is None
        assert alive(first.processes.held[0].pid)
        for world in (third, first):
            await world.end()

    for place in places:
        place.mkdir()
    asyncio.run(run())
