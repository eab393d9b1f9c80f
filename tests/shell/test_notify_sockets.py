"""When notify sockets are heard, and that a defect of one is no other's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetd.shell.notify import NotifySocket
from fleetd.shell.notify_sockets import NotifySockets
from tests.support.listening import bound
from tests.support.process_world import eventually


@pytest.fixture
def two(short_path: Path) -> Iterator[list[NotifySocket]]:
    made = [bound(short_path / name) for name in ("a", "b")]
    yield made
    for each in made:
        each.close()


def say(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(b"WATCHDOG=1", str(path))


def test_nobody_is_heard_again_before_that_is_asked_for(short_path: Path, two: list[NotifySocket]) -> None:
    async def test() -> None:
        heard: list[NotifySocket] = []
        rounds: list[int] = []
        sockets = NotifySockets(asyncio.get_running_loop(), hear=heard.append, heard=lambda: rounds.append(len(heard)))
        for each in two:
            sockets.add(each)
        say(short_path / "a")
        await eventually(lambda: rounds, "the first")
        for _ in range(20):
            await asyncio.sleep(0)
        assert (heard, rounds) == ([two[0]], [1]), "it was not even read, so that there still is something"
        two[0].receive()
        say(short_path / "b")
        sockets.listen_again()
        await eventually(lambda: len(rounds) == 2, "the second")
        assert heard == two
        sockets.close()
        sockets.listen_again()  # a turn of the daemon may still come

    asyncio.run(test())


def test_a_defect_of_one_keeps_no_other_from_being_heard(short_path: Path, two: list[NotifySocket]) -> None:
    async def test() -> None:
        loop, told, heard = asyncio.get_running_loop(), list[Any](), set[NotifySocket]()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

        def hear(one: NotifySocket) -> None:
            heard.add(one)
            raise ValueError("no sense")

        sockets = NotifySockets(loop, hear=hear, heard=lambda: None)
        for name, each in zip("ab", two, strict=True):
            sockets.add(each)
            say(short_path / name)
        await eventually(lambda: len(told) == 2, "both to be told of")
        assert heard == set(two)
        sockets.close()

    asyncio.run(test())
