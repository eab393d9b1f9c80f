"""Another keeper is started while the loop goes on (law 6 of docs/architecture.md)."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from fleetd.shell import keeper_link, keeping
from tests.support.process_world import World, alive, eventually

pytestmark = pytest.mark.process

LATE = """
import os, sys, time
print(os.getpid(), file=open({folder!r} + "/started", "a"), flush=True)
while not os.path.exists({folder!r} + "/go"): time.sleep(0.005)
os.execv(sys.executable, [sys.executable, "-I", "-S", {program!r}, *sys.argv[1:]])
"""


def late_keepers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keepers that begin once there is a file `go`, and have written down their pids before."""
    (folder / "late.py").write_text(LATE.format(folder=str(folder), program=str(keeper_link.PROGRAM)))
    monkeypatch.setattr(keeper_link, "PROGRAM", folder / "late.py")


def started(folder: Path) -> list[int]:
    path = folder / "started"
    return list(map(int, path.read_text().split())) if path.exists() else []


async def world_without_keeper(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(folder, "kept")
    world.processes.begin()
    world.spawn("before", "sleep", "1000")
    await world.until("spawned", "before")
    late_keepers(folder, monkeypatch)
    os.kill(world.processes.keeper_pid or 0, signal.SIGKILL)
    await eventually(lambda: started(folder), "another keeper to be started")
    return world


def test_what_is_asked_meanwhile_waits_for_the_keeper(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        world = await world_without_keeper(short_path, monkeypatch)
        world.spawn("r1", "sh", "-c", "exit 3")
        os.kill(next(held.pid for held in world.processes.held), signal.SIGTERM)
        assert await world.until("exited", "before") == (None, signal.SIGTERM), "the daemon sees what happens"
        assert world.told_of("spawned", "r1") is None
        (short_path / "go").touch()
        assert await world.until("exited", "r1") == (3, None)
        assert [world.processes.keeper_pid] == started(short_path)
        await world.end()

    asyncio.run(test())


def test_one_that_does_not_answer_is_ended_and_followed_by_another(
    short_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not wake up later, and start a second time what it was asked for."""
    monkeypatch.setattr(keeping, "HELLO_SECONDS", 2.0)  # in which it has begun, and been asked for something

    async def test() -> None:
        world = await world_without_keeper(short_path, monkeypatch)
        world.spawn("r1", "true")
        assert await world.until("spawn_failed", "r1") == ("the keeper ended while it was starting",)
        monkeypatch.setattr(keeping, "HELLO_SECONDS", 60.0)
        first = started(short_path)[0]
        await eventually(lambda: not alive(first), "its end")
        (short_path / "go").touch()
        await eventually(lambda: len(started(short_path)) > 1, "the next one")
        world.spawn("r2", "sh", "-c", "exit 4")
        assert await world.until("exited", "r2") == (4, None)
        await world.end()

    asyncio.run(test())
    assert "the keeper does not answer: see keeper.log in the runtime directory; trying again in 0.5 s" in caplog.text


def test_one_that_ends_at_once_is_followed_by_another_a_while_later(
    short_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "AGAIN_SECONDS", 0.1)

    async def test() -> None:
        world = World(short_path, "kept")
        world.processes.begin()
        program = keeper_link.PROGRAM
        (short_path / "ends.py").write_text("")
        monkeypatch.setattr(keeper_link, "PROGRAM", short_path / "ends.py")
        os.kill(world.processes.keeper_pid or 0, signal.SIGKILL)
        await eventually(lambda: caplog.text.count("the keeper hung up; trying again") >= 2, "two attempts")
        assert "trying again in 0.2 s" in caplog.text, "it waits longer each time"
        monkeypatch.setattr(keeper_link, "PROGRAM", program)
        await eventually(lambda: runs(world.processes.keeper_pid, program), "the next one")
        world.spawn("r1", "sh", "-c", "exit 5")
        assert await world.until("exited", "r1") == (5, None)
        await world.end()

    asyncio.run(test())


MANY = 3 * keeping.FEW_BIRTHS


def test_of_many_births_each_is_told(short_path: Path) -> None:
    async def test() -> None:
        world = World(short_path, "kept")
        world.processes.begin()
        for number in range(MANY):
            world.spawn(f"r{number}", "sh", "-c", f"exit {number}")
        for number in range(MANY):
            assert await world.until("exited", f"r{number}") == (number, None)
            assert world.told_of("spawned", f"r{number}")
        await world.end()

    asyncio.run(test())


def test_a_keeper_that_is_lost_while_it_has_many_births_before_it(short_path: Path) -> None:
    """Its end is seen while its reports are read now and then only; what it had not come to is asked for again."""

    async def test() -> None:
        world = World(short_path, "kept")
        world.processes.begin()
        for number in range(MANY):
            world.spawn(f"r{number}", "sleep", "1000")
        await world.until("spawned", "r0")
        os.kill(world.processes.keeper_pid or 0, signal.SIGKILL)
        for number in range(MANY):
            await world.until("spawned", f"r{number}")
        await world.end()

    asyncio.run(test())


def runs(pid: int | None, program: Path) -> bool:
    path = Path(f"/proc/{pid}/cmdline")
    return path.exists() and os.fsencode(program) in path.read_bytes()
