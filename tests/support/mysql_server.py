"""A real MariaDB of the tests' own: a unix socket and a free loopback port, data in a directory that is removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.ordinary_user import BECOME, UID
from tests.support.own_server import OwnServer
from tests.support.ports import free_port
from tests.support.requirement import need
from tests.support.waiting import wait_for

REMEDY = "no MariaDB server: apt-get install --no-install-recommends mariadb-server-core"
USER, PASSWORD = "reader", "S3cretWord:/@%"
FAST = ("innodb-flush-log-at-trx-commit=2", "innodb-buffer-pool-size=8M", "innodb-log-file-size=4M", "skip-log-bin")


def installed() -> bool:
    """Whether the server and what makes its files are here."""
    return all(_found(program) for program in ("mariadbd", "mariadb-install-db"))


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass(slots=True)
class Mysql(OwnServer):
    """A server that root starts as an ordinary user."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database, by TCP, with the login that may only read."""
        return f"mysql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/app"

    @property
    def socket(self) -> Path:
        return self.directory / "mysql.sock"

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A connection of the server's owner, by the socket."""
        connection = import_module("pymysql").connect(unix_socket=str(self.socket), user="owner", autocommit=True)
        try:
            yield connection
        finally:
            connection.close()

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        """A statement with ? for each value, as the owner."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS app")
            cursor.execute("USE app")
            cursor.execute(statement.replace("?", "%s") if values else statement, values or None)

    def create(self) -> None:
        """The files of a new server, and who may log in."""
        if os.getuid() == 0:
            os.chown(self.directory, UID, UID)
        made = [
            f"--datadir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]
        done = subprocess.run(
            self._command("mariadb-install-db", "--no-defaults", *made),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (self.directory / "init.sql").write_text(
            "CREATE USER owner@localhost;\nGRANT ALL ON *.* TO owner@localhost WITH GRANT OPTION;\n"
            f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nCREATE DATABASE app;\n"
            f"GRANT SELECT ON app.* TO {USER}@'127.0.0.1';\n"
        )
        (self.directory / "init.sql").chmod(0o644)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def start(self) -> None:
        """Returns when it answers."""
        settings = [f"datadir={self.data}", f"socket={self.socket}", f"port={self.port}", "bind-address=127.0.0.1"]
        settings += [*FAST, f"pid-file={self.directory / 'pid'}", "skip-name-resolve"]
        if (self.directory / "init.sql").exists():
            settings.append(f"init-file={self.directory / 'init.sql'}")
        self.socket.unlink(missing_ok=True)
        command = self._command("mariadbd", "--no-defaults", *(f"--{each}" for each in settings))
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, f"MariaDB to answer on port {self.port}", within=60)
        (self.directory / "init.sql").unlink(missing_ok=True)

    def answers(self) -> bool:
        """Whether it takes connections; fails at once when the server has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "server.log").read_text(errors="replace")
        try:
            if not self.socket.exists():
                return False  # the client would leave a socket open
            with self.connect():
                return True
        except import_module("pymysql").err.MySQLError:
            return False

    def _command(self, program: str, *arguments: str) -> list[str]:
        found = _found(program)
        assert found is not None
        return [*(BECOME if os.getuid() == 0 else ()), found, *arguments]


@contextmanager
def running_mysql() -> Iterator[Mysql]:
    """A server in a directory of its own, ended and removed afterwards."""
    need(installed(), REMEDY)
    with tempfile.TemporaryDirectory(prefix="fleetd-my-") as directory:
        server = Mysql(Path(directory))
        server.create()
        try:
            server.start()
            yield server
        finally:
            server.stop()
