"""Requests to a template that takes none, though nothing that it has in hand would tell when to ask again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetd.keeper.births import Births
from fleetd.keeper.run import Run
from fleetd.keeper.template import Template
from fleetd.keeper.templates import Templates, key_of


class HeldUp:
    """Templates with a ready one whose socket is full, though no birth is in flight: no request can be sent to it."""

    def __init__(self, folder: Path, timeout: float) -> None:
        self.born: list[str] = []
        self.failed: list[tuple[str, str]] = []
        births = Births(None, 1024)
        failed, born = self.failed.append, self.born.append
        self.templates = Templates(births, select.poll(), {}, lambda run: born(run.run),
                                   lambda run, error: failed((run.run, error["problem"])), lambda _: None)  # fmt: skip
        self.request = {"directory": str(folder), "env": {}, "argv": ["work"], "preload": {
            "pool": "media", "generation": 0, "timeout": timeout, "python": [sys.executable],
            "modules": [], "run": ["entry", "app:work"], "arguments": [], "own": []}}  # fmt: skip
        key = key_of(self.request, os.path.realpath(folder))
        self.template = Template(key, self.request, str(folder))
        self.template.socket, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.template.socket.setblocking(False)
        self.theirs.setblocking(False)
        self.template.ready, self.template.workers = True, 1
        self.templates._by_key[key] = self.templates._processes[0] = self.template  # pyright: ignore[reportPrivateUsage]
        with contextlib.suppress(BlockingIOError):
            while True:
                self.template.socket.send(b"in the way")

    def ask(self, *runs: str) -> None:
        for run in runs:
            self.templates.ask(Run(run), self.request)

    async def until_due(self) -> None:
        due = self.templates.due_in()
        assert due is not None, "they would wait for ever"
        await asyncio.sleep(due)
        self.templates.on_time()

    def requests(self) -> Iterator[bytes]:
        """What has arrived, and makes room."""
        while True:
            try:
                body, descriptors, *_ = socket.recv_fds(self.theirs, 16, 3)
            except BlockingIOError:
                return
            for descriptor in descriptors:
                os.close(descriptor)
            yield body

    def close(self) -> None:
        self.templates.cancel()
        self.template.close()
        self.theirs.close()


@pytest.fixture
def held_up(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[HeldUp]:
    world = HeldUp(tmp_path, request.param)
    yield world
    world.close()


@pytest.mark.parametrize("held_up", [60.0], indirect=True)
def test_births_that_could_not_be_asked_for_are_once_that_is_possible(held_up: HeldUp) -> None:
    async def test() -> None:
        held_up.ask("r1", "r2")
        for _ in range(3):
            await held_up.until_due()
        assert set(held_up.requests()) == {b"in the way"}
        await held_up.until_due()
        assert list(held_up.requests()) == [b"birth", b"birth"]
        assert "r1" in held_up.templates
        assert held_up.failed == []

    asyncio.run(test())


@pytest.mark.parametrize("held_up", [0.2], indirect=True)
def test_births_that_cannot_be_asked_for_fail_and_the_template_stays(held_up: HeldUp) -> None:
    async def test() -> None:
        held_up.ask("r1", "r2")
        while "r2" in held_up.templates:
            await held_up.until_due()
        said = "no worker could be asked for within 0.2 s (start-timeout)"
        assert held_up.failed == [("r1", said), ("r2", said)]
        assert not held_up.template.is_unwanted
        assert held_up.templates.due_in() is None, "P8: no timer for what only stands by"
        set(held_up.requests())
        held_up.ask("r3")
        assert list(held_up.requests()) == [b"birth"]

    asyncio.run(test())
