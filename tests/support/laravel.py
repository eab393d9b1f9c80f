"""A real Laravel application from Debian's packages: the stock `artisan queue:work` on a server of the tests' own."""

from __future__ import annotations

import contextlib
import functools
import math
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fleetd_cli import Document
from tests.support.job_log import JobLog
from tests.support.redis_server import RedisServer
from tests.support.releases import Releases
from tests.support.requirement import need

SOURCE = Path(__file__).parents[1] / "apps" / "laravel"
REMEDY = "no Laravel: apt-get install --no-install-recommends php-cli php-laravel-framework php-redis"
WRITABLE = ("bootstrap/cache", "storage/logs", "storage/framework/cache", "storage/framework/views")
VERSION = "require 'Illuminate/autoload.php'; echo Illuminate\\Foundation\\Application::VERSION;"
# What `artisan queue:table` has migrations make.
JOBS_TABLE = """
PRAGMA journal_mode = WAL;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, queue VARCHAR NOT NULL, payload TEXT NOT NULL,
    attempts INTEGER NOT NULL, reserved_at INTEGER, available_at INTEGER NOT NULL, created_at INTEGER NOT NULL
);
CREATE INDEX jobs_queue_index ON jobs (queue);
"""
PROVIDER = Path(__file__).parents[2] / "configs" / "workers" / "laravel" / "FleetdServiceProvider.php"
PROBE = "exit(extension_loaded('redis') && stream_resolve_include_path('Illuminate/autoload.php') ? 0 : 1);"


@functools.cache
def installed() -> bool:
    """Whether PHP, its Redis extension and the framework are here."""
    php = shutil.which("php")
    return php is not None and subprocess.run([php, "-r", PROBE], check=False, timeout=30).returncode == 0


@functools.cache
def version() -> str:
    """Of the framework, as installed."""
    command = ["php", "-r", VERSION]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


@functools.cache
def has_sqlite() -> bool:
    """Whether PHP can use SQLite."""
    probe = "exit(extension_loaded('pdo_sqlite') ? 0 : 1);"
    return subprocess.run(["php", "-r", probe], check=False, timeout=30).returncode == 0


@dataclass(frozen=True, slots=True)
class LaravelApp:
    """The application's releases under `releases`, its queues on `server`, what its jobs did in `jobs`.

    With `database`, the path of an SQLite file, its queues stand there.  With `tells` its jobs are told by the provider
    of configs/workers/laravel, else by the lines of `queue:work`.
    """

    releases: Releases
    server: RedisServer
    jobs: JobLog
    tells: bool = False
    database: Path | None = None

    @property
    def name(self) -> str:
        """The framework's file."""
        return "laravel"

    @property
    def version(self) -> str:
        """What is installed."""
        return version()

    @property
    def broker(self) -> str:
        """Where the queues stand."""
        return self.server.url if self.database is None else f"sqlite:///{self.database}"

    def pool(self, **keys: Any) -> Document:
        """A [pool.X] table; `keys` are added to what every worker needs."""
        return {
            "framework": self.name,
            "directory": str(self.releases.current),
            "env": dict(self.environment),
            "options": {"sleep": "0.1"},
            **keys,
        }

    def enqueue(
        self,
        count: int,
        *,
        queue: str = "default",
        seconds: float = 0.0,
        first: int = 1,
        fail_every: int = 0,
        gate: str = "",
        delay: float = 0.0,
    ) -> set[str]:
        """Pushes `count` jobs that work for `seconds`, and until the file `gate` is there; returns their ids.

        Each whose number is a multiple of `fail_every` fails.  With `delay` they are due so many seconds later.
        """
        options: dict[str, object] = {"queue": queue, "prefix": queue, "first": first, "count": count}
        options |= {"ms": round(seconds * 1000), "fail-every": fail_every, "gate": gate, "delay": math.ceil(delay)}
        self.artisan("dispatch", *(f"--{name}={value}" for name, value in options.items()))
        return {f"{queue}-{number}" for number in range(first, first + count)}

    @property
    def environment(self) -> Mapping[str, str]:
        """What artisan and its workers need to be told."""
        queues = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.server.port)}
        if self.database is not None:
            queues |= {"QUEUE_CONNECTION": "database", "DB_DATABASE": str(self.database)}
        told = {"TELL_FLEETD": str(PROVIDER)} if self.tells else {}
        return {**queues, "JOB_LOG": str(self.jobs.path), **told}

    def deploy(self, name: str) -> Path:
        """A new release with the directories that Laravel writes to."""
        release = self.releases.deploy(name)
        for directory in WRITABLE:
            (release / directory).mkdir(parents=True)
        return release

    def artisan(self, *arguments: str) -> str:
        """The output of an artisan command in release 1, which works whatever `current` points to."""
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **self.environment}
        command = ["php", "artisan", *arguments]
        done = subprocess.run(
            command,
            cwd=self.releases.release("1"),
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def dispatch(self, queue: str, count: int, *, ms: int = 0, first: int = 1, fail_every: int = 0) -> set[str]:
        """Pushes `count` jobs that work for `ms` milliseconds; returns their ids."""
        return self.enqueue(count, queue=queue, seconds=ms / 1000, first=first, fail_every=fail_every)


def laravel_app(root: Path, server: RedisServer, *, tells: bool = False, database: Path | None = None) -> LaravelApp:
    """An application below `root` with one release, `1`, to which `current` points; a table is made in `database`."""
    need(installed(), REMEDY)
    app = LaravelApp(Releases(root, SOURCE), server, JobLog(root / "jobs.log"), tells, database)
    if database is not None:
        need(has_sqlite(), "PHP has no SQLite: apt-get install --no-install-recommends php-sqlite3")
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.executescript(JOBS_TABLE)
    app.deploy("1")
    app.releases.switch("1")
    return app
