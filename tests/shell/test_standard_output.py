"""Output to the daemon's own standard output: it waits for a slow reader, and for no stuck one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import socket
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from fleetd.core.spec import LogFormat, LogSpec, LogTarget
from fleetd.shell import patience
from fleetd.shell.outlet import Outlet
from fleetd.shell.targets import Surroundings
from tests.support.output_bench import LINES, Bench, as_written, run, until

pytestmark = pytest.mark.process

STDOUT = LogSpec(to=LogTarget.STDOUT)
FORMATS = [LogSpec(to=LogTarget.STDOUT, format=form) for form in LogFormat]
Benches = Callable[..., Bench]


class Reader:
    """Collects what comes out of a descriptor, at most `rate` bytes a look; it can be held up."""

    def __init__(self, fd: int, rate: int = 65536) -> None:
        self._fd, self._rate = fd, rate
        self.data = bytearray()
        self.reads = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        while True:
            self.reads.wait()
            try:
                chunk = os.read(self._fd, self._rate)
            except OSError:
                return
            if not chunk:
                return
            self.data += chunk
            if self._rate < 65536:
                time.sleep(0.001)  # it is slow

    def start(self) -> None:
        self.reads.set()
        if not self._thread.is_alive():
            self._thread.start()

    def end(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(10)


def a_pipe() -> tuple[int, int]:
    return os.pipe2(os.O_CLOEXEC)


def a_socket() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return theirs.detach(), ours.detach()


def a_terminal() -> tuple[int, int]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    return master, slave


ENDS = [a_pipe, a_socket, a_terminal]


@contextmanager
def standard_output(make: Callable[[], tuple[int, int]], rate: int = 65536) -> Iterator[tuple[int, Outlet, Reader]]:
    """What stands for descriptor 1, its outlet, and who is at the other end."""
    with ExitStack() as stack:
        theirs, ours = make()
        stack.callback(os.close, theirs)
        reader = Reader(theirs, rate)
        stack.callback(reader.end)
        stack.callback(os.close, ours)
        outlet = stack.enter_context(closing(Outlet(ours)))
        yield ours, outlet, reader


def numbered(worker: str, lines: int) -> str:
    return f"import sys\nfor n in range({lines}): sys.stdout.write(f'{worker} {{n:080d}}\\n')"


def numbers_of(worker: str, text: bytes) -> list[int]:
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith(worker.encode())]


@pytest.mark.usefixtures("whole_lines")
@pytest.mark.parametrize("log", FORMATS, ids=list(LogFormat))
@pytest.mark.parametrize("make", ENDS)
def test_lines_of_many_workers_come_whole_and_once_to_a_slow_reader(
    benches: Benches, make: Callable[[], tuple[int, int]], log: LogSpec
) -> None:
    async def scene() -> None:
        with standard_output(make, rate=20_000) as (fd, outlet, reader):
            bench = benches(Surroundings(outlet))
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            children = {name: bench.start(numbered(name, 4000), log, name) for name in ("a", "b", "c")}
            reader.start()
            for name, child in children.items():
                await until(lambda child=child: child.poll() is not None)  # type: ignore[misc]
                bench.output.finish(name)
                await bench.output.caught_up(name)
            assert fcntl.fcntl(fd, fcntl.F_GETFL) == flags, "others share it"
            await until(lambda: reader.data.count(b"\n") == 12_000)
            text = as_written(bytes(reader.data), log.format)
            assert {name: numbers_of(name, text) for name in children} == {name: [*range(4000)] for name in children}
            assert bench.drops == []
            bench.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
@pytest.mark.parametrize("make", ENDS)
def test_a_stuck_reader_is_not_waited_for(
    benches: Benches, monkeypatch: pytest.MonkeyPatch, make: Callable[[], tuple[int, int]]
) -> None:
    monkeypatch.setattr(patience, "STUCK", 0.3)
    lines = 20_000

    async def scene() -> None:
        with standard_output(make) as (_, outlet, reader):
            bench = benches(Surroundings(outlet))
            beside = bench.pipe(LINES, "beside")
            child = bench.start(numbered("a", lines), STDOUT, worker="noisy:0")
            slowest, before = 0.0, time.monotonic()
            while child.poll() is None:
                await asyncio.sleep(0)
                slowest, before = max(slowest, time.monotonic() - before), time.monotonic()
            assert slowest < 5, "the loop had its turns: who waits for that reader waits for ever"
            os.write(beside, b"another pool\n")
            await until(lambda: bench.unprefixed == b"another pool\n")
            bench.output.finish("a")
            await bench.output.caught_up("a")
            dropped = bench.output.dropped("a")
            ((_, _, reason),) = bench.drops
            assert reason == "standard output: nobody reads standard output"

            reader.start()
            writer = bench.pipe(STDOUT, "b", "noisy:0")
            while not any(line.endswith(b"last") for line in bytes(reader.data).split(b"\n")):
                os.write(writer, b"last\n")
                await asyncio.sleep(0.01)
            text = bytes(reader.data).split(b"\n")
            assert all(line == b"" or b" noisy:0 " in line[:40] for line in text), "none is torn"
            whole = [line for line in text if b" a 0" in line]
            assert (lines - len(whole)) * len("a ") + (lines - len(whole)) * 81 == dropped
            os.close(writer)
            os.close(beside)
            bench.output.close_all()

    run(scene)


def test_a_reader_that_is_gone_costs_its_lines_only(benches: Benches) -> None:
    async def scene() -> None:
        theirs, ours = a_pipe()
        os.close(theirs)
        with closing(Outlet(ours)) as outlet:
            bench = benches(Surroundings(outlet))
            writer = bench.pipe(STDOUT)
            os.write(writer, b"done 1\n")
            await until(lambda: bench.output.dropped("a") == 7)
            assert [(name, count) for name, count, _ in bench.drops] == [("a", 7)]
            assert bench.reports == [("a", b"done 1")]
            assert bench.output.last_lines("a") == ("done 1",)
            assert bench.output.path("media:0") is None
            os.close(writer)
            bench.output.close_all()
        os.close(ours)

    run(scene)


def test_an_exit_is_told_after_a_slow_reader_took_the_last_line(benches: Benches) -> None:
    async def scene() -> None:
        with standard_output(a_pipe) as (fd, outlet, reader):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
            bench = benches(Surroundings(outlet))
            child = bench.start("print('x' * 30_000); print('done last')", STDOUT)
            await until(lambda: child.poll() is not None)
            assert not bench.output.finish("a")
            assert bench.reports == []
            caught_up = asyncio.create_task(bench.output.caught_up("a"))
            await asyncio.sleep(0.1)
            assert not caught_up.done()
            reader.start()
            await caught_up
            assert bench.reports == [("a", b"done last")]
            bench.output.close("a")
            await until(lambda: bytes(reader.data).endswith(b"done last\n"))
            bench.output.close_all()

    run(scene)


def test_a_killed_daemon_leaves_what_a_slow_reader_did_not_take(benches: Benches) -> None:
    async def scene() -> None:
        with standard_output(a_pipe) as (fd, outlet, reader):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
            first = benches(Surroundings(outlet))
            pipe, writer = os.pipe2(os.O_CLOEXEC)
            text = b"".join(b"%099d\n" % n for n in range(300))
            os.write(writer, text)
            first.output.attach("a", os.dup(pipe), "media:0", STDOUT)
            await asyncio.sleep(0.1)
            first.output.close_all()
            reader.start()
            second = benches(Surroundings(Outlet(fd)))
            second.output.attach("a", pipe, "media:0", STDOUT)
            await until(lambda: b"%099d\n" % 299 in reader.data)
            numbers = {line[-99:] for line in bytes(reader.data).splitlines()}
            assert numbers >= set(text.splitlines())
            os.close(writer)
            second.output.close_all()

    run(scene)


def test_a_terminal_that_may_not_be_opened_anew_is_written_cautiously(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError

    async def scene() -> None:
        master, slave = a_terminal()
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            outlet = Outlet(slave)
        bench = benches(Surroundings(outlet))
        child = bench.start(numbered("a", 2000), STDOUT)
        await asyncio.sleep(0.3)
        assert child.poll() is None or bench.output.dropped("a") == 0
        reader = Reader(master)
        reader.start()
        await until(lambda: child.poll() is not None)
        bench.output.finish("a")
        await bench.output.caught_up("a")
        await until(lambda: reader.data.count(b"\n") == 2000)
        bench.output.close_all()
        os.close(slave)
        reader.end()
        os.close(master)

    run(scene)


def test_a_file_on_a_full_disk_costs_lines_and_tears_none(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the end of the disk."""
    scene = f"""
import asyncio, os, resource, sys
from pathlib import Path
from fleetd.core.spec import LogSpec, LogTarget
from fleetd.shell import output as module
from fleetd.shell.output import Output
from fleetd.shell.outlet import Outlet
from fleetd.shell.targets import Surroundings
module.UNFINISHED = 60.0
resource.setrlimit(resource.RLIMIT_FSIZE, (300_050, resource.RLIM_INFINITY))
async def main():
    told = []
    fd = os.open({str(tmp_path / "out")!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    output = Output(Path({str(tmp_path)!r}), on_reports=print, on_dropped=lambda *what: told.append(what),
                    surroundings=Surroundings(Outlet(fd)))
    r, w = os.pipe()
    output.attach("a", r, "media:0", LogSpec(to=LogTarget.STDOUT))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "for n in range(10_000): print('%099d' % n)", stdout=w)
    await child.wait()
    output.finish("a")
    assert len(told) == 1 and "File too large" in told[0][2], told
    dropped = output.dropped("a")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(w, b"again\\n")
    while not Path({str(tmp_path / "out")!r}).read_bytes().endswith(b" again\\n"):
        await asyncio.sleep(0.01)
    lines = Path({str(tmp_path / "out")!r}).read_bytes().split(b"\\n")[:-1]
    assert {{len(line.split(b" ")[2]) for line in lines[:-1]}} == {{99}}
    assert (len(lines) - 1) * 100 + dropped == 1_000_000
    output.close_all()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", scene], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
