"""What a container's runtime makes, by unshare(1): PID 1, a read-only root, any user id, no home, no cgroups."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

from tests.support.open_clone import found_in
from tests.support.ordinary_user import everyones_python
from tests.support.waiting import samples, wait_for

NAMESPACE = ("unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
UID = 1000650000  # one of those that OpenShift gives
_LOCKED = f"""
set -e
mount -t tmpfs -o mode=1777 tmpfs /run
mount --rbind -o ro /sys /sys
mount -t tmpfs -o ro tmpfs /sys/fs/cgroup
mount -o remount,bind,ro /
exec setpriv --reuid={UID} --regid=0 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


@cache
def may_make_containers() -> bool:
    """Whether namespaces are permitted here."""
    if os.geteuid() != 0:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


class Container:
    """`fleetd` with its arguments as PID 1, its output in a file; `init` are words before it, which then are PID 1."""

    def __init__(self, output: Path, *arguments: str, init: Sequence[str] = ()) -> None:
        self.output = output
        self._fleetd = [everyones_python(), "-m", "fleetd.cli.main"]
        with output.open("wb") as file:
            self.outside = subprocess.Popen(
                [*NAMESPACE, "sh", "-c", _LOCKED, "sh", *init, *self._fleetd, *arguments],
                env=self._environment(), cwd="/", stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_for(lambda: self.outside.poll() is not None or self._is_entered(), "the container")

    def _is_entered(self) -> bool:
        return any(_LOCKED not in process.cmdline() for process in psutil.Process(self.outside.pid).children())

    @staticmethod
    def _environment() -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONPATH": found_in(), "PYTHONDONTWRITEBYTECODE": "1"}

    @property
    def first(self) -> psutil.Process:
        """Its PID 1, as seen from outside."""
        (first,) = psutil.Process(self.outside.pid).children()
        return first

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command inside, as `docker exec` runs it: with the user of the container."""
        inside = ["nsenter", f"--target={self.first.pid}", "--pid", "--mount", "--wd=/"]
        become = ["setpriv", f"--reuid={UID}", "--regid=0", "--clear-groups"]
        return subprocess.run(
            [*inside, *become, *self._fleetd, *arguments],
            env=self._environment(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def kill(self, number: int, pid: int = 1) -> None:
        """A signal from inside."""
        inside = ["nsenter", f"--target={self.first.pid}", "--pid", "--mount"]
        subprocess.run([*inside, "kill", f"-{number}", str(pid)], check=True)

    def said(self) -> str:
        """Its output so far."""
        return self.output.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        """Until every worker takes jobs."""
        wait_for(
            lambda: self.outside.poll() is not None or self.run("health", "--ready").returncode == 0, "the workers"
        )
        assert self.outside.poll() is None, self.said()

    def zombies(self) -> list[psutil.Process]:
        """What has ended and is not collected."""
        return zombies_of(self.first)

    def end(self) -> None:
        """Whatever is left of it is gone: with PID 1 the kernel ends the rest."""
        if self.outside.poll() is None:
            for first in psutil.Process(self.outside.pid).children():
                first.kill()  # --kill-child does not outlive its becoming another user
        self.outside.wait(10)


@contextmanager
def container(output: Path, *arguments: str, init: Sequence[str] = ()) -> Iterator[Container]:
    """A container that ends with the block."""
    made = Container(output, *arguments, init=init)
    try:
        yield made
    finally:
        made.end()


def status_of(process: psutil.Process) -> str:
    """Its state; "gone" when there is none."""
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return "gone"


def zombies_of(first: psutil.Process) -> list[psutil.Process]:
    """What has ended below a process and is not collected."""
    return [p for p in first.children(recursive=True) if status_of(p) == psutil.STATUS_ZOMBIE]


def check_collected(zombies: Callable[[], list[psutil.Process]], *, seconds: float) -> None:
    """Whatever is seen to have ended meanwhile is collected; how soon, is for the machine to say."""
    for _ in samples(seconds=seconds):
        ended = zombies()
        wait_for(lambda ended=ended: not set(ended) & set(zombies()), "what has ended to be collected")  # type: ignore[misc]


def inner_pid(pid: int) -> int:
    """A process's pid in its own namespace."""
    try:
        found = re.search(r"^NSpid:.*\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0
