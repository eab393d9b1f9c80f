"""A real BullMQ application: a node script with BullMQ's workers on a server of the tests' own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fleetd_cli import Document
from tests.support.job_log import JobLog
from tests.support.node import installed_node, packages
from tests.support.redis_server import RedisServer
from tests.support.releases import Releases

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "apps" / "bullmq"
SNIPPET = ROOT / "configs" / "workers" / "node" / "fleetd.cjs"


@dataclass(frozen=True, slots=True)
class BullmqApp:
    """The application's releases under `releases`, its queues on `server`, what its jobs did in `jobs`."""

    releases: Releases
    server: RedisServer
    jobs: JobLog
    node: str

    @property
    def name(self) -> str:
        """The framework's file."""
        return "bullmq"

    @property
    def version(self) -> str:
        """What is installed."""
        manifest = packages(SOURCE) / "bullmq" / "package.json"
        return str(json.loads(manifest.read_text())["version"])

    @property
    def broker(self) -> str:
        """Where the queues stand."""
        return self.server.url

    @property
    def environment(self) -> Mapping[str, str]:
        """What the scripts and their jobs need to be told."""
        return {"REDIS_URL": self.server.url, "JOB_LOG": str(self.jobs.path)}

    def pool(self, **keys: Any) -> Document:
        """A [pool.X] table; `keys` are added to what every worker needs."""
        return {
            "framework": self.name,
            "directory": str(self.releases.current),
            "env": dict(self.environment),
            "ready": "line",
            "options": {"node": self.node, "script": "worker.cjs"},
            **keys,
        }

    def deploy(self, name: str) -> Path:
        """A new release, with the packages and fleetd's script beside the workers'."""
        release = self.releases.deploy(name)
        shutil.copy(SNIPPET, release)
        (release / "node_modules").symlink_to(packages(SOURCE))
        return release

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
        name: str = "transcode",
    ) -> set[str]:
        """Pushes `count` jobs that work for `seconds`, and until the file `gate` is there; returns their ids.

        Each whose number is a multiple of `fail_every` fails.  With `delay` they are due so many seconds later.
        """
        jobs = [
            {
                "name": name,
                "data": {"seconds": seconds, "gate": gate, "fail": fail_every > 0 and number % fail_every == 0},
                "opts": {"jobId": f"{queue}-{number}", **({"delay": delay * 1000} if delay else {})},
            }
            for number in range(first, first + count)
        ]
        self.run("enqueue.cjs", queue, json.dumps(jobs))
        return {job["opts"]["jobId"] for job in jobs}

    def run(self, script: str, *arguments: str) -> str:
        """The output of a script in release 1, which works whatever `current` points to."""
        done = subprocess.run(
            [self.node, script, *arguments],
            cwd=self.releases.release("1"),
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout


def bullmq_app(root: Path, server: RedisServer) -> BullmqApp:
    """An application below `root` with one release, `1`, to which `current` points."""
    app = BullmqApp(Releases(root, SOURCE), server, JobLog(root / "jobs.log"), installed_node().node)
    app.deploy("1")
    app.releases.switch("1")
    return app
