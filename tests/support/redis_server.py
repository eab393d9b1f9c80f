"""A real Redis or Valkey server of the tests' own: a unix socket and a free loopback port, nothing kept on disk."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from configs.quickstart.server import REMEDY, server_binary
from tests.support.own_server import OwnServer
from tests.support.ports import free_port
from tests.support.requirement import need
from tests.support.waiting import wait_for


@dataclass(slots=True)
class RedisServer(OwnServer):
    """A server process; `stop` and `start` again lose its data, as a crash without persistence does."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    arguments: tuple[str, ...] = ()  # more of the server's own
    inside: tuple[str, ...] = ()  # words before its command: what it runs in

    @property
    def socket_path(self) -> Path:
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        """The URL of database 0, by TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    @contextmanager
    def connect(self, database: int = 0) -> Iterator[redis.Redis]:
        """A client that is closed at the end, answers as text, and does not wait for a server that is gone."""
        client = redis.Redis(
            unix_socket_path=str(self.socket_path), db=database, decode_responses=True, socket_timeout=5
        )
        try:
            yield client
        finally:
            client.close()

    def start(self, *, wait: bool = True) -> None:
        """Returns when the server answers, or at once."""
        binary = server_binary()
        need(binary, REMEDY)
        assert binary is not None
        command = [
            *self.inside,
            binary,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--unixsocket",
            str(self.socket_path),
        ]
        # With save points, a server whose directory was removed refuses SIGTERM.
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.directory), "--daemonize", "no"]
        command += self.arguments
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            wait_for(self.answers, f"{binary} to answer on port {self.port}", within=60)

    def answers(self) -> bool:
        """Whether PING is answered; fails at once when the server has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "server.log").read_text(errors="replace")
        with self.connect() as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False


@contextmanager
def running_server(*arguments: str) -> Iterator[RedisServer]:
    """A server in a directory of its own, ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="fleetd-redis-") as directory:
        server = RedisServer(Path(directory), free_port(), arguments=arguments)
        server.start()
        try:
            yield server
        finally:
            server.stop()
