"""The instance that the soak is about: started, killed, asked, measured."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetd.client.control import ControlClient
from fleetd.errors import FleetdError
from tests.soak import pools, processes
from tests.support.fleetd_cli import Fleetd
from tests.support.process_world import alive
from tests.support.waiting import wait_for

Document = dict[str, Any]


class Instance:
    """One instance with all its pools."""

    def __init__(self, directory: Path, workers: int) -> None:
        self.directory = directory
        self.fleetd = Fleetd(directory, "soak")
        self.ledgers = directory / "ledgers"
        self.counts = pools.numprocs(workers)
        self.releases = dict.fromkeys(self.counts, 1)
        self._runtime = directory / "runtime" / "soak"
        self.control = self._runtime / "control.sock"
        self._client = ControlClient("soak", self.control)

    def configure(self) -> None:
        """Write the pool file as `counts` and `releases` say now."""
        tables = pools.tables(self.ledgers, self.counts, self.releases)
        self.fleetd.configure(tables, framework={"numbered": pools.BY_LINES})
        text = self.fleetd.file.read_text().replace("[daemon]", '[daemon]\nlog-format = "json"', 1)
        new = self.fleetd.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.fleetd.file)

    # -- the daemon and the keeper -----------------------------------------------------------------------------------

    def start(self) -> float:
        """A daemon takes over; the seconds until it took commands."""
        began = time.monotonic()
        self.fleetd.run("start", "--detach", "--no-wait")
        return time.monotonic() - began

    def start_and_kill(self, chance: random.Random) -> None:
        """The same, but it is killed at once, mostly before it takes commands."""
        starting = self.fleetd.popen("start", "--detach", "--no-wait")
        try:
            wait_for(lambda: self.daemon_pid() or starting.poll() is not None, "a daemon", every=0.002)
            time.sleep(chance.uniform(0, 0.25))
            kill_now(self.daemon_pid())
        finally:
            starting.wait(timeout=30)
            self.fleetd.beside.remove(starting)
            if starting.stdout is not None:
                starting.stdout.close()
        wait_for(self._is_dead, "every process of that start to be dead", every=0.002)

    def _is_dead(self) -> bool:
        """Whether nobody holds the lock; what does, and can be seen, is killed.

        Unseen are one in the middle of an exec, and one whose parent was killed before it had written its own pid.
        """
        kill_now(self.daemon_pid())
        with (self._runtime / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def daemon_pid(self) -> int | None:
        """The pid of the daemon that lives, as its lock says."""
        with suppress(OSError, ValueError):
            pid = int((self._runtime / "lock").read_text())
            is_ours = str(self.fleetd.file).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
            return pid if is_ours and alive(pid) else None
        return None

    def keeper_pid(self) -> int | None:
        """The keeper's pid."""
        return processes.keeper_of(self.directory)

    def status(self) -> Document:
        """What `status --json` shows."""
        document: Document = self._client.call("status", timeout=30)
        return document

    def call(self, verb: str, **args: Any) -> Any:
        """Any verb, waited for."""
        return self._client.call(verb, args, timeout=120)

    def answers(self) -> bool:
        """Whether a daemon takes commands."""
        try:
            self._client.call("ping", timeout=10)
        except FleetdError:
            return False
        return True

    def upgrade(self) -> subprocess.CompletedProcess[str]:
        """`fleetd upgrade`, with any outcome."""
        return self.fleetd.run("upgrade", code=None, timeout=120)


def kill_now(*pids: int | None) -> None:
    """SIGKILL to these, one right after the other, and wait until all are gone."""
    there = [pid for pid in pids if pid is not None]
    for pid in there:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in there:
        wait_for(lambda pid=pid: not alive(pid), f"the killed process {pid} to be gone", every=0.001)
