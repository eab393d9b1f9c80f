"""A real Prometheus of the tests' own, Debian's, and promtool."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.own_server import OwnServer
from tests.support.ports import free_port
from tests.support.requirement import need
from tests.support.waiting import wait_for

REMEDY = "Debian's prometheus, with promtool, is not installed"


def promtool(*arguments: str, said: str | None = None) -> str:
    """What promtool says, given `said` on its standard input; fails unless it is content."""
    need(shutil.which("promtool"), REMEDY)
    done = subprocess.run(["promtool", *arguments], input=said, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@dataclass(slots=True)
class Prometheus(OwnServer):
    """A server that scrapes and evaluates as `directory`/prometheus.yml says."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        need(shutil.which("prometheus"), REMEDY)
        command = ["prometheus", f"--config.file={self.directory / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={self.directory / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"]
        with (self.directory / "prometheus.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, "Prometheus to answer", within=20)

    def answers(self) -> bool:
        """Whether it is ready; fails at once when it has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "prometheus.log").read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of the HTTP API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {each["labels"]["alertname"] for each in self.ask("alerts")["alerts"] if each["state"] == "firing"}

    def values(self, query: str) -> list[float]:
        """What an expression is now, one for each series."""
        return [float(each["value"][1]) for each in self.ask("query", query=query)["result"]]


@contextmanager
def running_prometheus(directory: Path, files: Sequence[tuple[str, str]]) -> Iterator[Prometheus]:
    """A server with its configuration `files`, names and texts; ended afterwards."""
    for name, text in files:
        (directory / name).write_text(text)
    server = Prometheus(directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()
