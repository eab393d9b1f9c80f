"""A machine that a real systemd runs, as PID 1 of namespaces above the file system of this one: up in half a second.

Its cgroups are version 2, whatever this machine has, and below a cgroup of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from fleetd.shell.cgroup import own_cgroup
from tests.support.open_clone import CLONE, open_clone
from tests.support.requirement import need
from tests.support.waiting import wait_for

SYSTEMD = Path("/lib/systemd/systemd")
SCRIPT = Path(__file__).with_name("boot_systemd.sh")
TOOLS = ("unshare", "nsenter", "setpriv", "pivot_root", "ip", "bash", "systemctl")
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--cgroup", "--pid")
ENVIRONMENT = (
    "HOME=/root",
    "LANG=C.UTF-8",
    "SYSTEMD_COLORS=0",
    "SYSTEMD_PAGER=",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


@dataclass(slots=True)
class Machine:
    """One that is up: commands run on it, as root."""

    outside: subprocess.Popen[bytes]  # what waits for it
    pid: int  # of its PID 1, as seen from here
    cgroup: Path
    shared: Path  # a directory that is the same there and here
    variables: tuple[str, ...] = field(default=ENVIRONMENT)

    def run(self, *command: str, code: int | None = 0, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """One command; its exit code must be `code` (None: any)."""
        done = subprocess.run(
            [*self._inside(), *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=timeout,
        )  # fmt: skip
        said = f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, said
        return done

    def beside(self, *command: str) -> subprocess.Popen[bytes]:
        """One command that goes on beside the test."""
        return subprocess.Popen([*self._inside(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def systemctl(self, *words: str, code: int | None = 0) -> str:
        """What systemctl says."""
        return self.run("systemctl", *words, code=code).stdout

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", unit, "--property", name, "--value").strip()

    def journal(self, unit: str) -> str:
        """What the unit's processes said, and systemd about it."""
        return self.journalctl("--unit", unit)

    def journalctl(self, *words: str) -> str:
        """What is in the journal, which takes its time: all that was said until now is."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--output", "cat", "--no-pager", *words).stdout

    def power_off(self) -> None:
        """Shut it down in order."""
        os.kill(self.pid, signal.SIGRTMIN + 4)  # poweroff.target, systemd(1)

    def end(self) -> None:
        """As if its cable were pulled; its cgroup is gone then, with all that was in it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.outside.wait(20)
        wait_for(self._is_removed, "the machine's cgroup to be empty")

    def _is_removed(self) -> bool:
        with suppress(OSError):
            (self.cgroup / "cgroup.kill").write_text("1")
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        return not self.cgroup.exists()

    def _inside(self) -> list[str]:
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        return [*enter, "--", "env", "-i", *self.variables]


@contextmanager
def machine() -> Iterator[Machine]:
    """One that is up, and is ended afterwards."""
    if os.geteuid() != 0:
        pytest.skip("a machine with a systemd of its own needs root")
    need(SYSTEMD.exists() and all(map(shutil.which, TOOLS)), "no systemd: install systemd, iproute2, util-linux")
    home = own_cgroup()
    need(home is not None, "no cgroup v2 in sight")
    assert home is not None
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True, text=True, check=False)
    need(tried.returncode == 0, f"namespaces are not permitted here: {tried.stderr.strip()}")
    with tempfile.TemporaryDirectory(prefix="fleetd-", dir="/tmp") as name:
        shared, work = Path(name, "shared"), Path(name, "work")
        shared.mkdir(mode=0o755)
        work.mkdir()
        Path(name).chmod(0o755)
        cgroup = home / Path(name).name
        cgroup.mkdir()
        up = _boot(cgroup, shared, work)
        try:
            _enter_service(up)
            yield up
        finally:
            up.end()


def _boot(cgroup: Path, shared: Path, work: Path) -> Machine:
    """Begin to boot."""
    python = (Path(sys.prefix), Path(sys.base_prefix))
    seen = [str(path) for path in (shared, *sorted({CLONE, open_clone(), *python})) if not path.is_relative_to("/usr")]
    # Its own cgroup first: it becomes the root of what the machine sees.
    options = (*NAMESPACES, "--propagation", "private", "--fork", "--kill-child")
    enter = f'echo 0 >{cgroup}/cgroup.procs && exec unshare {" ".join(options)} "$@"'
    console = (work.parent / "console").open("wb")
    with console:
        outside = subprocess.Popen(
            ["bash", "-c", enter, "unshare", "bash", str(SCRIPT), str(work), *seen],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
        )  # fmt: skip

    def first() -> int | None:
        assert outside.poll() is None, Path(console.name).read_text()
        children = psutil.Process(outside.pid).children()
        return children[0].pid if children and psutil.Process(outside.pid).name() == "unshare" else None

    try:
        pid = wait_for(first, "PID 1")
    except BaseException:
        outside.kill()
        raise
    assert pid is not None
    return Machine(outside, pid, cgroup, shared)


def _enter_service(up: Machine) -> None:
    """Wait until it has booted."""
    states = {"running", "degraded"}

    def state() -> str:
        assert up.outside.poll() is None, (up.shared.parent / "console").read_text()
        if not psutil.Process(up.pid).name().startswith("systemd"):
            return ""
        return up.run("systemctl", "is-system-running", code=None).stdout.strip()

    wait_for(lambda: state() in states, "the machine to have booted", within=60, every=0.05)
    # What waits for it leaves its cgroup: processes in a root forbid controllers below it.
    (up.cgroup.parent / "cgroup.procs").write_text(str(up.outside.pid))
