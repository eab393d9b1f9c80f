"""Processes over a real keeper, with all that is told written down."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fleetd.shell.keeper_link import KeeperLink
from fleetd.shell.processes import Processes
from fleetd.shell.reaper import Reaper
from fleetd.shell.spawn_request import SpawnRequest
from fleetd.shell.tree import Trees
from tests.support.open_clone import readable

PROGRAMS = readable(Path(__file__).parent / "programs")
Told = tuple[Any, ...]


class World:
    """One instance; listens as the daemon does, and reads output when asked."""

    def __init__(self, folder: Path, name: str, *, cgroups: bool = True) -> None:
        self.folder = folder
        self.name = name
        self.told: list[Told] = []
        self.output: dict[str, bytes] = {}
        self._news = asyncio.Event()
        self.processes = Processes.open(
            folder, name, self, KeeperLink.reach(folder / "keeper.sock", name), trees=None if cgroups else Trees(None)
        )
        self.reaper = Reaper(asyncio.get_running_loop())

    # -- Outcomes --

    def spawned(self, run: str, pid: int, directory: str, output: int, notify: int | None) -> None:
        self._tell("spawned", run, pid, directory)

    def spawn_failed(self, run: str, error: str) -> None:
        self._tell("spawn_failed", run, error)

    def exited(self, run: str, code: int | None, signal: int | None) -> None:
        self.read(run)
        self._tell("exited", run, code, signal)

    def template_told(self, report: Mapping[str, Any]) -> None:
        self._tell("template", report["pool"], dict(report))

    def _tell(self, *what: Any) -> None:
        self.told.append(what)
        self._news.set()

    # -- for tests --

    def spawn(self, run: str, *argv: str, **more: Any) -> None:
        env = dict(os.environ) | {"FLEETD_RUN": run} | more.pop("env", {})
        request = {"directory": "/tmp", "meta": f"meta of {run}"} | more
        self.processes.spawn(SpawnRequest(run=run, argv=argv, env=env, **request))

    def told_of(self, kind: str, run: str) -> Told | None:
        return next((told[2:] for told in self.told if told[:2] == (kind, run)), None)

    async def until(self, kind: str, run: str, within: float = 30.0) -> Told:
        async def wait() -> Told:
            while (told := self.told_of(kind, run)) is None:
                self._news.clear()
                await self._news.wait()
            return told

        try:
            return await asyncio.wait_for(wait(), within)
        except TimeoutError:
            raise AssertionError(f"waited {within} s for {kind} {run}; told: {self.told[-10:]}") from None

    def read(self, run: str) -> str:
        held = next((held for held in self.processes.held if held.run == run), None)
        if held is not None:
            with suppress(BlockingIOError):
                while chunk := os.read(held.output, 65536):
                    self.output[run] = self.output.get(run, b"") + chunk
        return self.output.get(run, b"").decode()

    async def until_read(self, run: str, text: str) -> str:
        return await eventually(lambda: self.read(run) if text in self.read(run) else "", f"{text!r} from {run}")

    def leave(self) -> None:
        """As a daemon that ends and leaves its runs to the next one."""
        self.reaper.close()
        self.processes.close(quit_keeper=False)

    async def end(self) -> None:
        """Kill and forget everything, and end the keeper."""
        keeper = self.processes.keeper_pid
        for held in self.processes.held:
            await self.processes.kill(held.run)
            if not held.ended:
                await self.until("exited", held.run)
            self.processes.forget(held.run)
        self.processes.close(quit_keeper=True)
        await eventually(lambda: keeper is None or not alive(keeper), "the keeper's end")
        self.reaper.close()


async def eventually(condition: Callable[[], Any], what: str, within: float = 30.0) -> Any:
    """The first truthy value of the condition."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {within} s for {what}"
        await asyncio.sleep(0.005)
    return value


def children_of(pid: int) -> list[int]:
    """The children of a process with one thread."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def open_descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def with_run(run: str) -> list[int]:
    """The living processes that carry this FLEETD_RUN."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and alive(int(folder.name)):
                variables = (folder / "environ").read_bytes().split(b"\0")
                found += [int(folder.name)] if f"FLEETD_RUN={run}".encode() in variables else []
    return found


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@contextmanager
def killed_at_the_end(*pids: int) -> Iterator[None]:
    """SIGKILL to these processes, which the test itself started."""
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


PYTHON = sys.executable
