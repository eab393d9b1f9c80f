"""The terminal by itself, on a pseudo-terminal that the test holds the other end of."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
from collections.abc import Iterator

import pytest

from fleetd.tui.terminal import Terminal


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """The emulator's end, and the program's."""
    controller, terminal = pty.openpty()
    yield controller, terminal
    os.close(controller)
    os.close(terminal)


def written(controller: int) -> str:
    """All that was written so far."""
    os.set_blocking(controller, False)
    found = b""
    try:
        while True:
            found += os.read(controller, 65536)
    except BlockingIOError:
        return found.decode()


def nothing(_keys: list[str] | None = None) -> None:
    """What a test does not look at."""


def test_only_lines_that_changed_are_written(ends: tuple[int, int]) -> None:
    controller, own = ends

    async def work() -> None:
        with Terminal(own, nothing, nothing) as terminal:
            written(controller)
            terminal.show(["one", "two", "three"])
            assert {"one", "two", "three"} <= set(
                written(controller).replace("\x1b[2K", " ").replace("\x1b", " ").split()
            )
            terminal.show(["one", "TWO", "three"])
            assert written(controller) == "\x1b[?2026h\x1b[2;1H\x1b[m\x1b[2KTWO\x1b[?2026l"
            terminal.show(["one", "TWO", "three"])
            assert written(controller) == ""
            terminal.forget()
            terminal.show(["one", "TWO", "three"])
            assert "three" in written(controller)

    asyncio.run(work())


@pytest.mark.timeout(30)
def test_a_terminal_that_takes_nothing_does_not_hold_up_the_end(ends: tuple[int, int]) -> None:
    """As over a line that hangs; nobody else's descriptor is made non-blocking for it."""
    _, own = ends
    before = termios.tcgetattr(own)

    async def work() -> None:
        with Terminal(own, nothing, nothing) as terminal:
            for number in range(1000):
                if terminal.is_behind:
                    break
                terminal.show([f"{number} {'x' * 5000}"])
            assert terminal.is_behind

    asyncio.run(work())
    assert os.get_blocking(own)
    assert termios.tcgetattr(own) == before


def test_what_was_not_taken_is_written_once_there_is_room(ends: tuple[int, int]) -> None:
    controller, own = ends

    async def work() -> str:
        with Terminal(own, nothing, nothing) as terminal:
            terminal.show(["x" * 500_000 + "end"])
            found = ""
            while terminal.is_behind:
                found += written(controller)
                await asyncio.sleep(0)
            return found + written(controller)

    assert asyncio.run(asyncio.wait_for(work(), 20)).count("x") == 500_000


def test_the_end_of_the_terminal_is_told(ends: tuple[int, int]) -> None:
    _, own = ends

    async def work() -> None:
        over = asyncio.Event()
        controller, other = pty.openpty()
        with Terminal(other, nothing, over.set):
            os.close(controller)
            await asyncio.wait_for(over.wait(), 10)
        os.close(other)

    asyncio.run(work())
    assert os.isatty(own)
