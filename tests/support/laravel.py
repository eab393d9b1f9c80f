"""A real Laravel application from Debian's packages: the stock `artisan queue:work` on a server of the tests' own."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.job_log import JobLog
from tests.support.redis_server import RedisServer
from tests.support.releases import Releases
from tests.support.requirement import need

SOURCE = Path(__file__).parents[1] / "apps" / "laravel"
REMEDY = "no Laravel: apt-get install --no-install-recommends php-cli php-laravel-framework php-redis"
WRITABLE = ("bootstrap/cache", "storage/logs", "storage/framework/cache", "storage/framework/views")
PROBE = "exit(extension_loaded('redis') && stream_resolve_include_path('Illuminate/autoload.php') ? 0 : 1);"


@functools.cache
def installed() -> bool:
    """Whether PHP, its Redis extension and the framework are here."""
    php = shutil.which("php")
    return php is not None and subprocess.run([php, "-r", PROBE], check=False, timeout=30).returncode == 0


@dataclass(frozen=True, slots=True)
class LaravelApp:
    """The application's releases under `releases`, its queues on `server`, what its jobs did in `jobs`."""

    releases: Releases
    server: RedisServer
    jobs: JobLog

    @property
    def environment(self) -> Mapping[str, str]:
        """What artisan and its workers need to be told."""
        return {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.server.port), "JOB_LOG": str(self.jobs.path)}

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
        options = {"queue": queue, "prefix": queue, "first": first, "count": count, "ms": ms, "fail-every": fail_every}
        self.artisan("dispatch", *(f"--{name}={value}" for name, value in options.items()))
        return {f"{queue}-{number}" for number in range(first, first + count)}


def laravel_app(root: Path, server: RedisServer) -> LaravelApp:
    """An application below `root` with one release, `1`, to which `current` points."""
    need(installed(), REMEDY)
    app = LaravelApp(Releases(root, SOURCE), server, JobLog(root / "jobs.log"))
    app.deploy("1")
    app.releases.switch("1")
    return app
