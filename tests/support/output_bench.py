"""An Output with what it told, and real children that write into its pipes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fleetd.core.spec import LogFormat, LogSpec, LogTarget
from fleetd.shell.output import Output
from fleetd.shell.targets import Surroundings

PREFIX = re.compile(rb"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d media:0 ")
LINES = LogSpec(max_size=0)
RAW = LogSpec(format=LogFormat.RAW, max_size=0)
JSON = LogSpec(format=LogFormat.JSON, max_size=0)
NOWHERE = LogSpec(to=LogTarget.NONE)


class DoneLines:
    """Reports every line that begins with b"done"."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line for line in lines if line.startswith(b"done")]


class Bench:
    """An Output with what it told, and the children it listens to."""

    def __init__(self, directory: Path, surroundings: Surroundings | None = None) -> None:
        self.directory = directory
        self.reports: list[tuple[str, bytes]] = []
        self.drops: list[tuple[str, int, str]] = []
        self.output: Output[bytes] = Output(
            directory, on_reports=self._report, on_dropped=self._drop, surroundings=surroundings
        )
        self.children: list[subprocess.Popen[bytes]] = []

    def _report(self, run: str, found: object) -> None:
        assert isinstance(found, Sequence)
        self.reports += [(run, line) for line in found]

    def _drop(self, run: str, count: int, reason: str) -> None:
        self.drops.append((run, count, reason))

    @property
    def log(self) -> Path:
        return self.directory / "media-0.log"

    @property
    def written(self) -> bytes:
        return self.log.read_bytes() if self.log.exists() else b""

    @property
    def unprefixed(self) -> bytes:
        """The log without prefixes; fails when a line has none, or more than one."""
        return as_written(self.written, LogFormat.PREFIX)

    def text(self, log: LogSpec) -> bytes:
        """What the worker wrote, out of a log of this format; fails for a line that is not in it."""
        return as_written(self.written, log.format)

    def pipe(self, log: LogSpec = LINES, run: str = "a", worker: str = "media:0", **more: object) -> int:
        """The write end of a pipe whose read end is attached."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self.output.attach(run, reader, worker, log, DoneLines(), **more)  # type: ignore[arg-type]
        return writer

    def start(self, program: str, log: LogSpec = LINES, run: str = "a", **more: object) -> subprocess.Popen[bytes]:
        """A Python program whose output is attached."""
        writer = self.pipe(log, run, **more)
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
        )
        os.close(writer)
        self.children.append(child)
        return child

    async def ended(self, child: subprocess.Popen[bytes], run: str = "a") -> None:
        await until(lambda: child.poll() is not None)
        self.output.finish(run)


async def until(condition: Callable[[], bool], within: float = 80.0) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.002)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(110):
            await scene()

    asyncio.run(bounded())


def as_written(log: bytes, form: LogFormat) -> bytes:
    """What the worker media:0 wrote, out of the text of a log; fails for a line that is not of this format."""
    if form is LogFormat.RAW:
        return log
    assert log.endswith(b"\n") or not log
    lines = log.split(b"\n")[:-1]
    if form is LogFormat.JSON:
        values = [json.loads(line.decode()) for line in lines]
        assert all(set(each) == {"at", "worker", "line"} for each in values)
        return b"".join(each["line"].encode() + b"\n" for each in values)
    assert all(PREFIX.match(line) for line in lines)
    return b"".join(PREFIX.sub(b"", line, count=1) + b"\n" for line in lines)
