"""A real PostgreSQL of the tests' own: a unix socket and a free loopback port, data in a directory that is removed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from tests.support.ordinary_user import BECOME, UID
from tests.support.ports import free_port
from tests.support.requirement import need
from tests.support.waiting import wait_for

REMEDY = "no PostgreSQL server: apt-get install --no-install-recommends postgresql"
USER, PASSWORD = "reader", "S3cretWord:/@%"  # every letter that a URL has to escape
FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=20")


def programs() -> Path | None:
    """The directory of the newest installed server's programs; Debian keeps them off PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parents[1].name))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


@dataclass(slots=True)
class Postgresql:
    """A server that root starts as an ordinary user: as root it refuses to run."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database, by TCP, with the login that may only read."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres"

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A connection of the server's owner, by the socket."""
        with psycopg.connect(
            host=str(self.directory), port=self.port, user="owner", dbname="postgres", autocommit=True
        ) as connection:
            yield connection

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        """A statement with ? for each value, as the owner."""
        with self.connect() as connection:
            connection.execute(statement.replace("?", "%s"), values or None)

    def create(self) -> None:
        """The files of a new server, which lets nobody in over TCP without a password."""
        if os.getuid() == 0:
            os.chown(self.directory, UID, UID)
        initdb = [
            "initdb",
            "-D",
            str(self.data),
            "-U",
            "owner",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--no-locale",
        ]
        self._run(*initdb)
        access = "local all owner trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(access)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def start(self) -> None:
        """Returns when it answers."""
        settings = [
            f"unix_socket_directories={self.directory}",
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            *FAST,
        ]
        command = self._command("postgres", "-D", str(self.data), *(word for each in settings for word in ("-c", each)))
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, f"PostgreSQL to answer on port {self.port}")

    def answers(self) -> bool:
        """Whether it takes connections; fails at once when the server has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "server.log").read_text(errors="replace")
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile its processes are there, and answer nothing."""
        assert self.process is not None
        every = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children()]
        for process in every:
            process.suspend()
        try:
            yield
        finally:
            for process in every:
                process.resume()

    def stop(self) -> None:
        """Ends the server, which ends its own processes."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=20)
            self.process = None

    def _run(self, *words: str) -> None:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def _command(self, program: str, *arguments: str) -> list[str]:
        directory = programs()
        need(directory, REMEDY)
        become = BECOME if os.getuid() == 0 else ()
        return [*become, str(directory and directory / program), *arguments]


@contextmanager
def running_postgresql() -> Iterator[Postgresql]:
    """A server in a directory of its own, ended and removed afterwards."""
    need(programs(), REMEDY)
    with tempfile.TemporaryDirectory(prefix="fleetd-pg-") as directory:
        server = Postgresql(Path(directory))
        server.create()
        try:
            server.start()
            with server.connect() as connection:
                connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
                connection.execute(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {USER}")
                connection.execute(f"ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {USER}")
            yield server
        finally:
            server.stop()
