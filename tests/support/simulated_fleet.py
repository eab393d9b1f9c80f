"""Simulated members that beat on a real Redis, on a thread of their own, while a test runs commands."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fleetd.coordination.opening import open_fleet
from fleetd.coordination.port import Coordinator
from fleetd.errors import UnreachableError
from tests.support.fleetd_cli import COMMAND
from tests.support.simulated_member import SimulatedMember

T = TypeVar("T")
EVERY = 0.2  # seconds between two beats: a test need not wait as long as a person


class SimulatedFleet:
    """A fleet at `url`; whatever is asked of it runs on its own loop."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.coordinator: Coordinator = self.do(self._open())
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._killed: set[str] = set()
        self._beside: list[subprocess.Popen[str]] = []

    async def _open(self) -> Coordinator:
        return open_fleet(self.url, self.name)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def join(self, *members: SimulatedMember) -> None:
        """Returns when each has beaten once."""
        self.do(self._join(members))

    async def _join(self, members: tuple[SimulatedMember, ...]) -> None:
        for member in members:
            await member.beat(self.coordinator)
            self._tasks[member.name] = asyncio.create_task(self._live(member))

    async def _live(self, member: SimulatedMember) -> None:
        while not member.is_gone and member.name not in self._killed:
            await asyncio.sleep(EVERY)
            try:
                await member.beat(self.coordinator)
            except UnreachableError:
                continue

    def kill(self, name: str) -> None:
        """A member that does not beat any more."""
        self._killed.add(name)

    def close(self) -> None:
        for process in self._beside:
            process.kill()
            process.communicate(timeout=10)
        self.do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._killed |= self._tasks.keys()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self.coordinator.close()

    # -- commands ----------------------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        """What a CI job has, and nothing else."""
        found = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent"}
        return {**found, "FLEETD_REDIS": self.url, "FLEETD_FLEET": self.name, **more}

    def run(self, *arguments: str, code: int = 0, timeout: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
        """One command, ended with this exit code."""
        done = subprocess.run(
            [str(COMMAND), *arguments],
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr.replace("  Traceback", "")
        return done

    def popen(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """One command beside the test, which is ended with the fleet if it has not ended by then."""
        process = subprocess.Popen(
            [str(COMMAND), *arguments],
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._beside.append(process)
        return process


@contextmanager
def simulated_fleet(url: str, name: str) -> Iterator[SimulatedFleet]:
    fleet = SimulatedFleet(url, name)
    try:
        yield fleet
    finally:
        fleet.close()
