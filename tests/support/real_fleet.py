"""A fleet as its owner has it: several real daemons, one real Redis, and a CI machine that has its address."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.fleetd_cli import COMMAND, MARK, Document, Fleetd, kill, marked
from tests.support.redis_server import RedisServer

NAME = "acme"


@dataclass(slots=True)
class RealFleet:
    """The hosts stand below `directory`, each with directories of its own; `url` is how they reach `server`.

    `inside` are the words before every command of the CI machine: what it runs in.
    """

    directory: Path
    server: RedisServer
    url: str
    inside: tuple[str, ...] = ()
    hosts: dict[str, Fleetd] = field(default_factory=dict)
    beside: list[subprocess.Popen[str]] = field(default_factory=list)

    def host(
        self, name: str, pools: Mapping[str, Mapping[str, Any]], inside: tuple[str, ...] = (), **keys: Any
    ) -> Fleetd:
        """A host that is not started yet; `inside` are the words before every command there."""
        home = self.directory / name
        home.mkdir()
        instance = Fleetd(home, "app", inside=inside)
        table = {"name": NAME, "redis": self.url, "host": name, **keys}
        instance.configure(pools, fleet=table)
        self.hosts[name] = instance
        return instance

    def start(self) -> None:
        """All daemons, each until its pools are healthy."""
        starting = [host.popen("start", "--detach") for host in self.hosts.values()]
        for process in starting:
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0, said

    # -- the CI machine ----------------------------------------------------------------------------------------------

    def ci(self, *words: str, code: int | None = 0, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """One command of a machine that has only the address; its exit code must be `code` (None: any)."""
        done = subprocess.run(
            [*self.inside, str(COMMAND), *words],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        logs = "" if code in (None, done.returncode) else "".join(h.daemon_log() for h in self.hosts.values())
        said = f"fleetd {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}{logs}"
        assert code is None or done.returncode == code, said
        return done

    def ci_popen(self, *words: str, command: Sequence[str] = (str(COMMAND),)) -> subprocess.Popen[str]:
        """One that goes on beside the test; its errors go to its standard output."""
        process = subprocess.Popen(
            [*self.inside, *command, *words],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.beside.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG") if name in os.environ}
        return {**inherited, "FLEETD_REDIS": self.url, "FLEETD_FLEET": NAME, MARK: str(self.directory)}

    # -- looking -----------------------------------------------------------------------------------------------------

    def status(self) -> Document:
        """`status --fleet --json`, as the CI machine sees it."""
        document: Document = json.loads(self.ci("status", "--fleet", "--json").stdout)
        return document

    def events(self) -> list[Document]:
        """The events of all hosts, oldest first."""
        lines = self.ci("events", "--fleet", "--json", "-n", "10000").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def rollout(self, epoch: int) -> Document:
        """`rollouts EPOCH --json`."""
        document: Document = json.loads(self.ci("rollouts", str(epoch), "--json").stdout)
        return document

    def pids(self, pool: str = "media") -> dict[str, dict[str, int]]:
        """Host to worker name to pid, asked of each daemon."""
        return {name: host.pids(pool) for name, host in self.hosts.items()}

    def workers(self, pool: str = "media") -> dict[str, list[Document]]:
        """Host to what its daemon says of each worker, draining ones too."""
        return {name: host.pool(pool)["workers"] for name, host in self.hosts.items()}

    def starts(self, pool: str = "media") -> dict[str, list[int]]:
        """Host to how often each worker was started."""
        return {name: [worker["starts"] for worker in workers] for name, workers in self.workers(pool).items()}

    def turns(self) -> list[str]:
        """The hosts that have a turn, asked of the server itself."""
        with self.server.connect() as client:
            found = client.zrange(f"fleetd:{{{NAME}}}:turns", 0, -1)
        return [str(member).partition("/")[0] for member in found]

    def most_at_once(self) -> int:
        """The most hosts that had a turn at the same time, by the fleet's stream of events."""
        rolling: set[str] = set()
        most = 0
        for event in self.events():
            if event["kind"] == "turn.taken":
                rolling.add(event["host"])
                most = max(most, len(rolling))
            elif event["kind"] == "turn.ended":
                rolling.discard(event["host"])
        return most


def daemon_pid(host: Fleetd) -> int:
    """The daemon of a host."""
    pid: int = host.status()["pid"]
    return pid


@contextmanager
def real_fleet(directory: Path, server: RedisServer, url: str) -> Iterator[RealFleet]:
    """A fleet of which nothing is left afterwards."""
    fleet = RealFleet(directory, server, url)
    try:
        yield fleet
    finally:
        for host in fleet.hosts.values():
            if host.processes() and host.run("status", code=None).returncode != 0:  # the daemon was killed
                host.run("start", "--detach", "--no-wait", code=None)
        left = [line for host in fleet.hosts.values() for line in host.end()]
        for process in fleet.beside:
            process.kill()
            process.wait(timeout=10)
            if process.stdout is not None:
                process.stdout.close()
        for process in marked(str(directory)):
            kill(process.pid)
    assert not left, f"left after `fleetd stop --now`: {left}"
