"""The `fleetd` command as a user runs it: a pool file, directories of its own, processes that are real."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w

from fleetd.client.control import ControlClient
from fleetd.errors import FleetdError
from tests.support.waiting import wait_for
from tests.support.worker_pools import FRAMEWORKS, TELLS

COMMAND = Path(sys.executable).parent / "fleetd"
MARK = "TEST_DIRECTORY"  # inherited by all that an instance starts; what begins with FLEETD_ is not

Document = dict[str, Any]


@dataclass(slots=True)
class Fleetd:
    """One instance: its pool file is `directory`/NAME.toml and all that it writes stands below `directory`.

    The directory's path must be short (sockets stand in it): make it in the temporary directory.
    """

    directory: Path
    name: str = "test"
    environment: dict[str, str] = field(default_factory=dict)
    inside: tuple[str, ...] = ()  # words before every command: what it runs in
    beside: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.directory / f"{self.name}.toml"

    @property
    def log_directory(self) -> Path:
        """Where LOGDIR/INSTANCE/POOL-SLOT.log stand."""
        return self.directory / "log" / self.name

    def configure(self, pools: Mapping[str, Mapping[str, Any]], **tables: Mapping[str, Any]) -> None:
        """Writes the pool file: `pools` and any other top-level tables, with the [daemon] table that keeps it here."""
        daemon = {f"{kind}-directory": str(self.directory / kind) for kind in ("runtime", "state", "log")}
        daemon |= tables.get("daemon", {})
        if any(pool.get("framework") == TELLS for pool in pools.values()):
            tables["framework"] = {**FRAMEWORKS, **tables.get("framework", {})}
        self.file.write_text(tomli_w.dumps({**tables, "daemon": daemon, "pool": pools}))

    @property
    def control(self) -> ControlClient:
        """The daemon's control socket, asked without a command: what is looked at again and again costs no process."""
        return ControlClient(self.name, self.directory / "runtime" / self.name / "control.sock")

    # -- commands --------------------------------------------------------------------------------------------------

    def run(self, *arguments: str, code: int | None = 0, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """One command, ended; its exit code must be `code` (None: any)."""
        try:
            done = subprocess.run(
                self._command(arguments),
                env=self._environment(),
                cwd=self._working_directory(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as late:
            said = b"".join(part or b"" for part in (late.stdout, late.stderr)).decode(errors="replace")
            pytest.fail(f"fleetd {' '.join(arguments)}: not ended after {timeout:g} s\n{said}{self.daemon_log()}")
        said = f"fleetd {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}{self.daemon_log()}"
        assert code is None or done.returncode == code, said
        return done

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """One command that goes on beside the test; its errors go to its standard output."""
        process = subprocess.Popen(
            self._command(arguments),
            env=self._environment(),
            cwd=self._working_directory(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.beside.append(process)
        return process

    def start(self, *, code: int = 0, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """`fleetd start --detach`: returns once every pool is healthy."""
        return self.run("start", "--detach", code=code, timeout=timeout)

    def status(self, *targets: str) -> Document:
        """The document of `fleetd status --json`."""
        control = self.control
        document: Document
        if control.path.exists():
            with self._asserted():
                document = control.call("status", {"targets": targets}, timeout=60)
        else:  # the command says what is wrong
            document = json.loads(self.run("status", "--json", *targets).stdout)
        return document

    def pool(self, name: str) -> Document:
        """What `status --json` says of one pool."""
        return next(pool for pool in self.status()["pools"] if pool["name"] == name)

    def pids(self, pool: str) -> dict[str, int]:
        """Worker name to pid of those that run and are not draining."""
        return {worker["name"]: worker["pid"] for worker in taking_jobs(self.pool(pool))}

    def events(self, kind: str | None = None) -> list[Document]:
        """The events so far, of one kind or all."""
        control = self.control
        if control.path.exists():
            with self._asserted():
                events = list(control.stream("events", {"follow": False, "n": 100_000}))
        else:
            lines = self.run("events", "--json", "-n", "100000").stdout.splitlines()
            events = [json.loads(line) for line in lines]
        return [event for event in events if kind is None or event["kind"] == kind]

    def exits(self, at_least: int) -> list[Document]:
        """The `worker.exited` events, once there are so many."""
        wait_for(lambda: len(self.events("worker.exited")) >= at_least, f"{at_least} exits")
        return self.events("worker.exited")

    @contextlib.contextmanager
    def _asserted(self) -> Iterator[None]:
        """An error of the daemon's, or none being there, fails as the command's exit code would."""
        try:
            yield
        except FleetdError as error:
            raise AssertionError(f"{error}\n{self.daemon_log()}") from None

    def daemon_log(self) -> str:
        """What the detached daemon said, to explain a failure."""
        log = self.log_directory / "fleetd.log"
        return f"--- {log}\n{log.read_text(errors='replace')[-4000:]}" if log.exists() else ""

    # -- the end ---------------------------------------------------------------------------------------------------

    def end(self) -> list[str]:
        """Ends the daemon as `stop --now` does; returns what was left of its processes (and is now gone too)."""
        if self.processes():
            # What either of these does not end is what this returns.
            with contextlib.suppress(subprocess.TimeoutExpired, AssertionError):
                self._stop_now()
                wait_for(lambda: not self.processes(), "the instance to end")
        left = self.processes()
        said = [f"{process.pid} {' '.join(process.info['cmdline'])}" for process in left]
        for process in left:
            kill(process.pid)
        for command in self.beside:  # by now each has ended, or was just killed
            command.wait(timeout=10)
            if command.stdout is not None:
                command.stdout.close()
        return said

    def _stop_now(self) -> None:
        """By the verb, as a process for it in each test adds up; by the command where no socket is to be seen."""
        if not self.control.path.exists():
            self.run("stop", "--now", code=None, timeout=30)
            return
        with contextlib.suppress(FleetdError):
            self.control.call("stop", {"now": True, "wait": True, "shutdown": True}, timeout=30)

    def leaves_nothing(self) -> None:
        """After the daemon's end: fails if a worker is left, or a keeper, which would end by itself, but after 10 s."""
        workers = [process for process in self.processes() if "FLEETD_RUN" in process.info["environ"]]
        assert not workers, f"left by the daemon: {workers}"
        wait_for(lambda: not self.processes(), "all that the instance started to be gone", within=8)

    def processes(self) -> list[psutil.Process]:
        """Everything alive that this instance started: daemon, keeper, workers and what those started."""
        return marked(str(self.directory))

    def _command(self, arguments: Sequence[str]) -> list[str]:
        verb, *rest = arguments
        return [*self.inside, str(COMMAND), verb, "-c", str(self.file), *rest]

    def _working_directory(self) -> Path:
        """Also that of workers whose pool names none."""
        return Path.cwd()

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG", "CI") if name in os.environ}
        return {**inherited, MARK: str(self.directory), **self.environment}


def marked(mark: str) -> list[psutil.Process]:
    """The live processes that inherited MARK with this value, wherever they are in the process tree.

    A server that writes its title over its environment is known by the directory in that title.
    """
    found = []
    for pid in psutil.pids():
        if not _bears(pid, mark.encode()):  # looked at again and again, on a machine with hundreds of processes
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            process.info = info = process.as_dict(["cmdline", "environ", "status"])
            # One that ends as it is read has neither words nor variables any more, whatever its state was before that.
            if info["status"] != psutil.STATUS_ZOMBIE and info["cmdline"] is not None:
                info["environ"] = info["environ"] or {}
                found.append(process)
    return found


def _bears(pid: int, mark: bytes) -> bool:
    """Whether the mark is a process's own, or in its title; a zombie has neither any more."""
    return MARK.encode() + b"=" + mark in _read(pid, "environ").split(b"\0") or mark in _read(pid, "cmdline")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # gone, or another user's
        return b""


def taking_jobs(pool: Document) -> list[Document]:
    """The workers of a pool that take jobs: alive, healthy, and not draining."""
    return [worker for worker in pool["workers"] if worker["state"] == "running" and worker["healthy"]]


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    """Sends a signal; False if the process was gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
