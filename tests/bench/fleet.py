"""One fleet: a supervisor at work with some workers, in a session of its own, and ended whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from tests.bench import process_table
from tests.bench.board import NANOSECONDS, Board, OverdueError, Record, is_running

# Seconds: older than fleetd's healthy-after and its first backoff (1 s each, the second up to a quarter more), and than
# runit's shortest time between two starts.
SETTLED = 1.5
TO_START = 120.0
TO_END = 60.0
TO_END_UNMEASURED = 15.0  # then it is killed: circus, for one, misses a TERM that comes while it starts
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


@dataclass(frozen=True, slots=True)
class Order:
    """What a supervisor is asked to run."""

    directory: Path  # for everything that it writes; short, since sockets stand in it
    worker: Path  # the program
    board: Path
    workers: int
    mode: str  # of worker.c
    log_size: int  # bytes; a log may be put aside when it is larger
    logs_kept: int

    @property
    def writes(self) -> bool:
        """Whether the workers write output."""
        return ":" in self.mode

    @property
    def logs(self) -> Path:
        return self.directory / "log"

    def command(self, name: str | None = None) -> list[str]:
        """What one worker is; without `name` it is called what its environment says."""
        return [str(self.worker), str(self.board), self.mode, *([name] if name is not None else [])]


class Contender(Protocol):
    """A supervisor to be measured."""

    @property
    def label(self) -> str:
        """How tables call it."""
        ...

    @property
    def has_status(self) -> bool:
        """Whether it has a status command."""
        ...

    @property
    def version(self) -> str:
        """Which version is measured."""
        ...

    @property
    def stop_signal(self) -> int:
        """What makes it stop all workers and end."""
        ...

    def prepare(self, order: Order) -> list[str]:
        """Write its configuration, and return the command that runs it in the foreground."""
        ...

    def restart(self, order: Order) -> list[str] | int:
        """The command that restarts all workers, or the signal that does."""
        ...

    def status(self, order: Order) -> list[str]:
        """The command that shows the state of all workers."""
        ...

    def logs(self, order: Order) -> list[list[Path]]:
        """For each worker the files with its output, the oldest first."""
        ...

    def tidy(self, order: Order) -> None:
        """Remove what it leaves outside its directory after its end."""
        ...


def rotated(log: Path, kept: int) -> list[Path]:
    """A log after those that were put aside as LOG.1, LOG.2 …, the oldest first."""
    aside = [log.with_name(f"{log.name}.{age}") for age in range(kept, 0, -1)]
    return [*(file for file in aside if file.exists()), log]


@dataclass(slots=True)
class Fleet:
    """A running supervisor."""

    contender: Contender
    order: Order
    board: Board
    process: subprocess.Popen[bytes]
    began: int  # ns, when its command was run
    _said: Path = field(repr=False)

    def started(self, within: float = TO_START) -> list[Record]:
        """The records of the first workers, once all run."""
        return self.births(self.order.workers, within)

    def births(self, count: int, within: float) -> list[Record]:
        """The first `count` records, once so many were born since the beginning."""
        try:
            return self.board.wait_for_births(count, within)
        except OverdueError as error:
            raise OverdueError(f"{error}; it said: {self._said.read_text(errors='replace')[-500:]!r}") from None

    def settle(self, age: float = SETTLED) -> None:
        """Wait until as many workers live as were ordered and the youngest has lived for `age` seconds."""
        deadline = time.monotonic() + TO_START
        while True:
            living = self.board.living()
            youngest = max((self.board[number].born for number in living), default=0)
            if len(living) == self.order.workers and time.monotonic_ns() - youngest > age * NANOSECONDS:
                return
            if time.monotonic() > deadline:
                raise OverdueError(f"{len(living)} of {self.order.workers} workers live, after {TO_START:g} s")
            time.sleep(0.02)

    def supervisors(self) -> list[int]:
        """Its processes, without the workers."""
        pids = [self.process.pid, *process_table.descendants(self.process.pid)]
        return [pid for pid in pids if not is_running(pid, self.order.worker)]

    def stop(self) -> int:
        """Send the signal that stops all workers and return when (ns)."""
        at = time.monotonic_ns()
        self.process.send_signal(self.contender.stop_signal)
        return at

    def restart(self, within: float) -> int:
        """Restart all workers, wait until the command has ended, and return when it was run (ns)."""
        how = self.contender.restart(self.order)
        at = time.monotonic_ns()
        if isinstance(how, int):
            self.process.send_signal(how)
        else:
            self.run(how, within)
        return at

    def run_again(self) -> None:
        """Run its command once more, as somebody would after its end."""
        command = self.contender.prepare(self.order)
        with self._said.open("ab") as output:
            self.began = time.monotonic_ns()
            self.process = _begun(command, self.order.directory, output)

    def wait_until_gone(self, within: float = TO_END) -> None:
        """Wait until every worker is gone and so are all processes of the supervisor."""
        deadline = time.monotonic() + within
        pids = [self.board[number].pid for number in self.board.living()]
        while pids or self.process.poll() is None or process_table.descendants(os.getpid()):
            pids = [pid for pid in pids if is_running(pid, self.order.worker)]
            if time.monotonic() > deadline:
                raise OverdueError(f"{len(pids)} workers were left {within:g} s after the stop signal")
            time.sleep(0.005)

    def run(self, command: list[str], within: float) -> float:
        """Run a command to its end and return the seconds it took; raises RuntimeError if it fails."""
        began = time.monotonic()
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=within)
        took = time.monotonic() - began
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name}: exit {done.returncode}: {(done.stderr + done.stdout)[-500:]}")
        return took


@contextlib.contextmanager
def running(contender: Contender, workers: int, worker: Path, mode: str = "wait", **settings: int) -> Iterator[Fleet]:
    """A fleet that was just told to start, in a directory of its own; it is ended and removed at the end."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fleetd-bench-", dir=place) as name:
        directory = Path(name)
        (directory / "log").mkdir()
        board = Board(directory / "board")
        sizes = {"log_size": 50 << 20, "logs_kept": 10} | settings
        order = Order(directory, worker, board.path, workers, mode, **sizes)
        try:
            command = contender.prepare(order)
        except RuntimeError:
            board.close()
            raise
        said = directory / "said"
        with said.open("wb") as output:
            began = time.monotonic_ns()
            process = _begun(command, directory, output)
        fleet = Fleet(contender, order, board, process, began, said)
        try:
            yield fleet
        finally:
            _end(fleet)
            board.close()


def _begun(command: list[str], directory: Path, output: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=directory,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def environment() -> Mapping[str, str]:
    """What every supervisor gets: no more than it needs."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG") if name in os.environ}


def adopt_orphans() -> None:
    """Make what loses its parent a child of this process, so that nothing can be left behind."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def _end(fleet: Fleet) -> None:
    try:
        if fleet.process.poll() is None:
            fleet.stop()
            fleet.wait_until_gone(TO_END_UNMEASURED)
    except OverdueError:
        pass  # what is left is killed
    finally:
        kill_descendants()
        fleet.contender.tidy(fleet.order)


def kill_descendants() -> None:
    """Kill all that this process started, and what those started; all of it is the benchmark's own."""
    # Twice: while the table is read, a parent may end, and its child is found with neither the old nor the new one.
    while left := process_table.descendants(os.getpid()) or process_table.descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.005)
    _reap()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
