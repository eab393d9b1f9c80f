"""A real RabbitMQ of the tests' own: free loopback ports, an epmd of its own, data in a directory that is removed."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from tests.support.ports import free_port
from tests.support.requirement import need
from tests.support.waiting import wait_for

# Debian's own command in /usr/sbin wants to become the user rabbitmq.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
REMEDY = "Debian's rabbitmq-server is not installed"
USER, PASSWORD = "tests", "S3cretWord"
STATISTICS_EVERY = 0.5  # seconds; 5 by default
PATIENCE = 60.0  # seconds: on a busy machine a server that has just begun took more than 10 for a new vhost
_VHOSTS = itertools.count(1)
_LEFT: list[RabbitMQ] = []  # to others: a child that is let go while it runs is warned of, and a warning is an error


@dataclass(slots=True)
class RabbitMQ:
    """A server with the management plugin; what is durable is there again after `stop` and `start`."""

    directory: Path
    port: int = field(default_factory=free_port)
    management_port: int = field(default_factory=free_port)
    epmd_port: int = field(default_factory=free_port)
    distribution_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None  # None also where another process of the tests started it
    epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the vhost /."""
        return self.url_of("/")

    @property
    def management(self) -> str:
        """The URL of the management API."""
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self.management_port}"

    def url_of(self, vhost: str) -> str:
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    def vhost(self) -> str:
        """The URL of a vhost that is new and empty."""
        name = f"test-{os.getpid()}-{next(_VHOSTS)}"
        self.call("PUT", f"/api/vhosts/{name}")
        self.permit(USER, name)
        return self.url_of(name)

    def permit(self, user: str, vhost: str, *, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
        """Give a user permissions, as regular expressions over names."""
        permissions = {"configure": configure, "write": write, "read": read}
        self.call("PUT", f"/api/permissions/{quote(vhost, safe='')}/{user}", permissions)

    def user(self, name: str, tags: str) -> None:
        """A user with the same password as the tests' own."""
        self.call("PUT", f"/api/users/{name}", {"password": PASSWORD, "tags": tags})

    def call(self, method: str, path: str, body: object = None, *, within: float = PATIENCE) -> Any:
        """The decoded answer of the management API within so many seconds; None where it has no body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.management_port}{path}", method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=within) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def start(self) -> None:
        """Returns when AMQP and the management API answer."""
        need(PROGRAM.exists(), REMEDY)
        (self.directory / "home").mkdir(exist_ok=True)
        (self.directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.directory / "rabbitmq.conf").write_text(self._configuration())
        environment = self._environment()
        # Started here, it is a child to be ended; else the server would start one that outlives it.
        epmd = ["epmd", "-address", "127.0.0.1", "-port", str(self.epmd_port)]
        with (self.directory / "server.log").open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self.epmd = subprocess.Popen(epmd, env=environment, **streams)
            self.process = subprocess.Popen([PROGRAM, "-noinput"], env=environment, **streams)
        wait_for(self.answers, f"RabbitMQ to answer on port {self.management_port}", within=110, every=0.1)

    def answers(self) -> bool:
        """Whether it is up; fails at once when the server has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "server.log").read_text(errors="replace")[-3000:]
        try:
            listeners = self.call("GET", "/api/overview?columns=listeners", within=5)["listeners"]
        except (OSError, urllib.error.URLError):
            return False
        return any(listener["port"] == self.port for listener in listeners)

    def stop(self) -> None:
        """Ends the server and its epmd by their pids."""
        for process in (self.process, self.epmd):
            if process is not None:
                process.kill()
                process.wait(timeout=10)
        self.process = self.epmd = None

    def _configuration(self) -> str:
        return "\n".join(
            [
                f"listeners.tcp.1 = 127.0.0.1:{self.port}",
                "management.tcp.ip = 127.0.0.1",
                f"management.tcp.port = {self.management_port}",
                f"collect_statistics_interval = {STATISTICS_EVERY * 1000:.0f}",
                f"default_user = {USER}",
                f"default_pass = {PASSWORD}",
                "log.console = true",
                "log.file = false",
                "",
            ]
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.directory / "home"),  # for the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_NODENAME": f"tests-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_ALLOW_INPUT": "true",  # no shell script stays between this process and the server
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        }


@contextmanager
def shared_rabbitmq(meeting: Path) -> Iterator[RabbitMQ]:
    """One server for all processes of a test run, since a start is dear: the first starts it, the last ends it.

    Nobody may stop or pause it.  `meeting` is a directory that they have in common.
    """
    turn, users, known = meeting / "rabbitmq.turn", meeting / "rabbitmq.users", meeting / "rabbitmq.json"
    with users.open("a") as user:
        with _locked(turn):
            # Whoever holds this lock too uses it; the kernel lets go for one that is killed.
            server = _joined(known) if _is_used(user) else _started(known)
            fcntl.flock(user, fcntl.LOCK_SH)
        try:
            yield server
        finally:
            with _locked(turn):
                fcntl.flock(user, fcntl.LOCK_UN)
                if _is_used(user):
                    _LEFT.append(server)
                else:
                    _ended(known, server)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_used(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(users, fcntl.LOCK_UN)
    return False


def _started(known: Path) -> RabbitMQ:
    server = RabbitMQ(Path(tempfile.mkdtemp(prefix="fleetd-rabbitmq-")))
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    assert server.process is not None
    assert server.epmd is not None
    ports = [server.port, server.management_port, server.epmd_port, server.distribution_port]
    pids = [server.process.pid, server.epmd.pid]
    known.write_text(json.dumps({"directory": str(server.directory), "ports": ports, "pids": pids}))
    return server


def _joined(known: Path) -> RabbitMQ:
    told = json.loads(known.read_text())
    return RabbitMQ(Path(told["directory"]), *told["ports"])


def _ended(known: Path, server: RabbitMQ) -> None:
    """By its pids, which are those of another process's children where that was the first and has ended."""
    pids = json.loads(known.read_text())["pids"]
    server.stop()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(server.directory, ignore_errors=True)


@contextmanager
def running_rabbitmq() -> Iterator[RabbitMQ]:
    """A server in a directory of its own, ended and removed afterwards; it takes 5 seconds of a processor to start."""
    with tempfile.TemporaryDirectory(prefix="fleetd-rabbitmq-") as directory:
        server = RabbitMQ(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.stop()
