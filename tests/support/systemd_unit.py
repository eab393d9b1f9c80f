"""An instance of fleetd as a unit of a machine: its pool file, its unit, its processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from tests.support.fleetd_cli import COMMAND
from tests.support.real_systemd import Machine
from tests.support.waiting import wait_for
from tests.support.worker_pools import Table, shell

UNITS = "/etc/systemd/system"

# Its job goes on after the drain signal, for as long as there is no file `leave`, and is written down.
JOB = "trap 'touch told' TERM; until [ -e leave ] && [ -e told ]; do sleep 0.05; done; echo done >>ended"


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for something on a machine, where each look takes a few processes."""
    wait_for(condition, what, within=60, every=0.2)


@dataclass(slots=True)
class Unit:
    """One instance; its pool file and its workers' files are in `directory`, which the machine shares."""

    machine: Machine
    name: str
    options: tuple[str, ...] = ()  # after every command
    directory: Path = field(init=False)

    def __post_init__(self) -> None:
        self.directory = self.machine.shared / self.name
        self.directory.mkdir(mode=0o755)

    @property
    def unit(self) -> str:
        return f"fleetd-{self.name}.service"

    @property
    def path(self) -> str:
        return f"{UNITS}/{self.unit}"

    @property
    def file(self) -> Path:
        return self.directory / f"{self.name}.toml"

    def configure(self, pools: Mapping[str, Mapping[str, Any]]) -> None:
        """Writes the pool file."""
        self.file.write_text(tomli_w.dumps({"pool": pools}))

    def configure_workers(self, script: str = "exec sleep 1000", **keys: Any) -> None:
        """Writes a pool file with the pool `media`, whose shell scripts run in the instance's directory."""
        pool: Table = shell(script, directory=str(self.directory), **{"numprocs": 2, **keys})
        self.configure({"media": pool})

    def drop_in(self, **values: str) -> None:
        """Directives of [Service] that the operator has set; they hold from the next daemon-reload on."""
        lines = "\\n".join(["[Service]", *(f"{key}={value}" for key, value in values.items()), ""])
        self.machine.run("sh", "-c", f"mkdir -p {self.path}.d; printf '{lines}' >{self.path}.d/own.conf")

    def fleetd(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """A command of fleetd for this instance, as root of the machine."""
        return self.machine.run(str(COMMAND), *words, "-c", str(self.file), *self.options, code=code)

    def systemd(self, action: str, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`fleetd systemd ACTION`."""
        return self.fleetd("systemd", action, *words, code=code)

    def install(self) -> str:
        """Installed and started, with every worker healthy."""
        said = self.systemd("install", "--now").stdout
        self.until_healthy()
        return said

    def until_healthy(self) -> None:
        """Wait until a daemon answers, and every worker is healthy."""
        until(lambda: self.fleetd("health", "--ready", code=None).returncode == 0, f"{self.name} to be healthy")

    def show(self, name: str) -> str:
        """A property of its unit."""
        return self.machine.show(self.unit, name)

    @property
    def state(self) -> str:
        return self.show("ActiveState")

    def pids(self) -> dict[str, int]:
        """The workers' pids on the machine, by name."""
        document = json.loads(self.fleetd("status", "--json").stdout)
        return {worker["name"]: worker["pid"] for pool in document["pools"] for worker in pool["workers"]}

    def kill_daemon(self, name: str = "KILL") -> int:
        """A signal to the daemon; its pid."""
        pid = int(self.show("MainPID"))
        assert pid > 1, "no daemon runs"
        self.machine.run("kill", f"-{name}", str(pid))
        return pid

    def hang_daemon(self) -> None:
        """The daemon does nothing any more, whatever signal it gets, but for KILL (systemd sends CONT after TERM)."""
        move = f"mkdir {self.cgroup}/hung; echo {self.show('MainPID')} >{self.cgroup}/hung/cgroup.procs"
        self.machine.run("sh", "-ec", f"{move}; echo 1 >{self.cgroup}/hung/cgroup.freeze")

    @property
    def cgroup(self) -> str:
        return f"/sys/fs/cgroup/system.slice/{self.unit}"

    def processes(self) -> list[int]:
        """The pids of everything in its unit, on the machine."""
        command = f"find {self.cgroup} -name cgroup.procs -exec cat {{}} + 2>/dev/null"
        listed = self.machine.run("sh", "-c", command, code=None)
        return [int(pid) for pid in listed.stdout.split()]

    def journal(self) -> str:
        """What was said by it and about it."""
        return self.machine.journal(self.unit)

    def remove(self) -> None:
        """Whatever a test has made of it, it is gone then."""
        self.machine.systemctl("kill", "--signal=KILL", self.unit, code=None)
        self.machine.systemctl("disable", "--now", self.unit, code=None)
        self.machine.run("rm", "-rf", self.path, f"{self.path}.d")
        self.machine.systemctl("daemon-reload")
