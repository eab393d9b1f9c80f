"""When the service manager is told what: on a clock that jumps, with a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from fleetd.core.drain_time import END_MARGIN, KILL_MARGIN
from fleetd.core.events import AskedForTime, ShutdownRequested
from fleetd.core.spec import FleetSpec, Launch, PoolSpec
from fleetd.errors import UsageError
from fleetd.shell.service_manager import EXTEND_EVERY, START_WITHIN, ServiceManager
from tests.support.virtual_time import run_virtually
from tests.support.world import World

DEAF_FOR = 100.0  # seconds


@pytest.fixture
def manager(short_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(str(short_path / "manager.sock"))
        yield receiver


def heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(8192).decode())
        except BlockingIOError:
            return messages


def host(numprocs: int = 2) -> World:
    """A host with deaf workers, at the beginning of time."""
    spec = PoolSpec("media", Launch(("true",)), numprocs=numprocs, stop_timeout=DEAF_FOR, healthy_after=0.0)
    world = World(FleetSpec({"media": spec}), now=0.0)
    world.let_each_act()
    world.wait(0)
    for worker in world.workers.values():
        worker.deaf = True
    return world


def told(world: World, environ: dict[str, str], story: Callable[[ServiceManager], Awaitable[None]]) -> None:
    """Live through a story between start and end."""

    async def live() -> None:
        service = ServiceManager.from_environment(environ, world.state)
        service.starting()
        try:
            await story(service)
        finally:
            service.close()

    run_virtually(live())


def environment(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


async def until(world: World, seconds: float) -> None:
    """Let the loop's clock and the world's come to the same instant."""
    await asyncio.sleep(seconds - asyncio.get_running_loop().time())
    world.wait(seconds - world.now)


def test_the_status_is_told_at_most_once_a_second_and_only_when_it_has_changed(manager: socket.socket) -> None:
    world = host()

    async def story(service: ServiceManager) -> None:
        service.ready()
        heard(manager)
        for _ in range(10):
            service.consider()
        await asyncio.sleep(5)
        assert heard(manager) == [], "nothing has changed"
        runs = list(world.workers)
        world.exit(runs[0], 1)
        service.consider()
        assert heard(manager) == ["STATUS=1/2 workers, 1 failing"]
        world.exit(runs[1], 1)
        service.consider()
        assert heard(manager) == [], "too soon"
        await asyncio.sleep(1)
        assert heard(manager) == ["STATUS=0/2 workers, 2 failing"]

    told(world, environment(manager), story)


def test_no_timer_is_left_while_nothing_happens(manager: socket.socket) -> None:
    world = host()

    async def story(service: ServiceManager) -> None:
        service.ready()
        service.consider()
        await asyncio.sleep(2)
        assert not service._timers

    told(world, environment(manager), story)


def test_without_a_manager_there_is_nothing_at_all() -> None:
    world = host()

    async def story(service: ServiceManager) -> None:
        with service.reload():
            pass
        world.step(ShutdownRequested())
        service.consider()
        assert not service._timers
        assert service._socket is None

    told(world, {"WATCHDOG_USEC": "1000"}, story)


def test_a_start_asks_for_more_time_but_not_for_ever(manager: socket.socket) -> None:
    async def story(_service: ServiceManager) -> None:
        asked = []
        for _ in range(int(2 * START_WITHIN / EXTEND_EVERY)):
            asked.append([m for m in heard(manager) if m.startswith("EXTEND")])
            await asyncio.sleep(EXTEND_EVERY)
        assert asked[0] == ["EXTEND_TIMEOUT_USEC=30000000"]
        assert sum(map(bool, asked)) == START_WITHIN / EXTEND_EVERY

    told(host(), environment(manager), story)


def test_a_start_that_is_over_asks_no_more(manager: socket.socket) -> None:
    async def story(service: ServiceManager) -> None:
        service.ready()
        heard(manager)
        await asyncio.sleep(100)
        assert heard(manager) == []

    told(host(), environment(manager), story)


def test_a_drain_asks_for_more_time_while_a_worker_has_it(manager: socket.socket) -> None:
    """Regularly, so that a daemon that hangs is not waited for; and never beyond what the core allows the workers."""
    world = host()

    async def story(service: ServiceManager) -> None:
        service.ready()
        heard(manager)
        world.step(ShutdownRequested())
        service.consider()
        first = heard(manager)
        assert first[0] == "STOPPING=1\nSTATUS=draining: 2 workers left, the longest has 1 min 40 s"
        assert first[1:] == ["EXTEND_TIMEOUT_USEC=30000000"]
        last = 0.0
        for second in range(1, 300):
            await until(world, second)
            if second < DEAF_FOR and any(m.startswith("EXTEND") for m in heard(manager)):
                assert second - last <= EXTEND_EVERY
                last = second
            elif any(m.startswith("EXTEND") for m in heard(manager)):
                last = second
        assert DEAF_FOR <= last <= DEAF_FOR + KILL_MARGIN + END_MARGIN, (
            "the workers are killed, and cannot be: enough is enough"
        )

    told(world, environment(manager), story)


def test_a_worker_that_is_given_more_time_gets_it_from_the_manager_too(manager: socket.socket) -> None:
    world = host(1)
    (run,) = world.workers

    async def story(service: ServiceManager) -> None:
        world.step(ShutdownRequested())
        service.consider()
        await until(world, 90)
        world.step(AskedForTime(run, 200.0))
        service.consider()
        await until(world, 280)
        heard(manager)
        await until(world, 291)
        service.consider()
        assert "STATUS=draining: 1 worker left, killed" in heard(manager)
        await until(world, 400)
        assert [m for m in heard(manager) if m.startswith("EXTEND")][-1] != "EXTEND_TIMEOUT_USEC=30000000"

    told(world, environment(manager), story)


def test_what_must_arrive_is_sent_again_when_there_is_room(manager: socket.socket) -> None:
    async def story(service: ServiceManager) -> None:
        world.exit(next(iter(world.workers)), 1)
        while service._put("X=1"):
            pass
        with service.reload():
            pass
        service.consider()
        assert all("READY" not in message for message in heard(manager))
        await asyncio.sleep(6)
        states = [message.split("=")[0] for message in heard(manager)]
        assert states[:2] == ["RELOADING", "READY"]
        await asyncio.sleep(6)
        assert not service._timers

    world = host()
    told(world, environment(manager), lambda service: ready_before(service, manager, story))


async def ready_before(
    service: ServiceManager, manager: socket.socket, story: Callable[[ServiceManager], Awaitable[None]]
) -> None:
    service.ready()
    heard(manager)
    await story(service)


def test_reloads_that_overlap_are_one(manager: socket.socket) -> None:
    async def story(service: ServiceManager) -> None:
        with service.reload():
            with pytest.raises(UsageError), service.reload():
                raise UsageError("media.toml:3: no\nmedia.toml:4: nor this")
            assert not [m for m in heard(manager) if m.startswith("READY")]
        assert heard(manager)[-1].endswith("STATUS=2/2 workers")

    told(host(), environment(manager), lambda service: ready_before(service, manager, story))


def test_a_drain_that_begins_within_a_reload_is_not_called_back(manager: socket.socket) -> None:
    world = host()

    async def story(service: ServiceManager) -> None:
        with service.reload():
            world.step(ShutdownRequested())
            service.consider()
        service.ready()
        service.reloading()
        states = [m.split("=")[0] for m in heard(manager)]
        assert [state for state in states if state in {"READY", "RELOADING", "STOPPING"}] == ["RELOADING", "STOPPING"]

    told(world, environment(manager), lambda service: ready_before(service, manager, story))


@pytest.mark.parametrize(
    ("usec", "pings"), [("2000000", 10), ("1", 200), ("0", 0), ("", 0), ("-5", 0), ("9" * 5000, 0)]
)
def test_pings_come_at_half_the_time(manager: socket.socket, usec: str, pings: int) -> None:
    """And not so often that the daemon does nothing else."""

    async def story(_service: ServiceManager) -> None:
        count = 0
        for _ in range(1000):
            count += heard(manager).count("WATCHDOG=1")
            await asyncio.sleep(0.01)
        assert count == pytest.approx(pings, abs=1)

    told(host(), environment(manager, WATCHDOG_USEC=usec, WATCHDOG_PID="1"), story)


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind("")
        name = receiver.getsockname()[1:].decode()

        async def story(service: ServiceManager) -> None:
            service.ready()

        told(host(), {"NOTIFY_SOCKET": f"@{name}"}, story)
        assert any(message.startswith("READY=1\nMAINPID=") for message in heard(receiver))
