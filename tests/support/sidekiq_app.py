"""A real Sidekiq application from Debian's packages: the stock `sidekiq` on a server of the tests' own."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.fleetd_cli import Document
from tests.support.job_log import JobLog
from tests.support.redis_server import RedisServer
from tests.support.releases import Releases
from tests.support.requirement import need

SOURCE = Path(__file__).parents[1] / "apps" / "sidekiq"
SNIPPET = Path(__file__).parents[2] / "configs" / "workers" / "ruby" / "fleetd.rb"
REMEDY = "no Sidekiq: apt-get install --no-install-recommends ruby-sidekiq"
VERSION = 'require "sidekiq/version"; print Sidekiq::VERSION'


@functools.cache
def version() -> str:
    """Of the framework, as installed; "" if it is not."""
    if shutil.which("sidekiq") is None or shutil.which("ruby") is None:
        return ""
    done = subprocess.run(["ruby", "-e", VERSION], check=False, capture_output=True, text=True, timeout=30)
    return done.stdout if done.returncode == 0 else ""


@dataclass(frozen=True, slots=True)
class SidekiqApp:
    """The application's releases under `releases`, its queues on `server`, what its jobs did in `jobs`.

    With `tells` its jobs are told by the middleware of configs/workers/ruby, else by Sidekiq's lines.
    """

    releases: Releases
    server: RedisServer
    jobs: JobLog
    tells: bool = False
    more: Mapping[str, str] = field(default_factory=dict)  # of the environment

    @property
    def name(self) -> str:
        """The framework's file."""
        return "sidekiq"

    @property
    def version(self) -> str:
        """What is installed."""
        return version()

    @property
    def broker(self) -> str:
        """Where the queues stand."""
        return self.server.url

    @property
    def environment(self) -> Mapping[str, str]:
        """What Sidekiq and the jobs need to be told."""
        told = {"TELL_FLEETD": str(SNIPPET)} if self.tells else {}
        path = {"PATH": "/usr/local/bin:/usr/bin:/bin", "REDIS_URL": self.server.url}
        return {**path, "JOB_LOG": str(self.jobs.path), **told, **self.more}

    def pool(self, **keys: Any) -> Document:
        """A [pool.X] table for a worker that takes one job at a time; `keys` are added."""
        return {
            "framework": self.name,
            "directory": str(self.releases.current),
            "env": dict(self.environment),
            "options": {"bundle": "", "require": "./jobs.rb", "concurrency": 1},
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
        numbers = range(first, first + count)
        jobs = [
            (f"{queue}-{number}", queue, seconds, fail_every > 0 and number % fail_every == 0, gate, delay)
            for number in numbers
        ]
        command = ["ruby", str(self.releases.release("1") / "enqueue.rb")]
        text = json.dumps(jobs)
        done = subprocess.run(
            command,
            input=text,
            env={key: value for key, value in self.environment.items() if key != "TELL_FLEETD"},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return {job for job, *_ in jobs}


def sidekiq_app(root: Path, server: RedisServer, *, tells: bool = False, **environment: str) -> SidekiqApp:
    """An application below `root` with one release, `1`, to which `current` points."""
    need(version(), REMEDY)
    releases = Releases(root, SOURCE)
    app = SidekiqApp(releases, server, JobLog(root / "jobs.log"), tells, environment)
    releases.deploy("1")
    releases.switch("1")
    return app
