"""What the tests' applications in Python have in common: a release, a log of jobs, what their workers must be told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

from tests.support.fleetd_cli import Document
from tests.support.job_log import JobLog
from tests.support.releases import Releases

APPS = Path(__file__).parents[1] / "apps"
SCRIPTS = Path(sys.executable).parent  # not resolved: the scripts stand beside the virtual environment's own link


@dataclass(frozen=True, slots=True)
class PythonApp:
    """An application below `root` with one release, `1`, to which `current` points; its queues are in `broker`.

    With `tells` its jobs are told by fleetd.worker, else by the lines of the framework.
    """

    root: Path
    broker: str
    tells: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    name: ClassVar[str]

    def __post_init__(self) -> None:
        self.releases.deploy("1")
        self.releases.switch("1")

    @property
    def version(self) -> str:
        """What is installed."""
        return metadata.version(self.name)

    @property
    def releases(self) -> Releases:
        """The application's releases."""
        return Releases(self.root, APPS / self.name)

    @property
    def jobs(self) -> JobLog:
        """What its jobs did."""
        return JobLog(self.root / "jobs.log")

    @property
    def options(self) -> Mapping[str, Any]:
        """The framework's settings for a worker that takes one job at a time."""
        raise NotImplementedError

    def pool(self, **keys: Any) -> Document:
        """A [pool.X] table; `keys` are added to what every worker needs."""
        env = {
            "PATH": f"{SCRIPTS}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(APPS / "python"),
            "JOB_LOG": str(self.jobs.path),
            **({"TELL_FLEETD": "1"} if self.tells else {}),
            **self.environment,
        }
        return {
            "framework": self.name,
            "directory": str(self.releases.current),
            "env": env,
            "options": dict(self.options),
            **keys,
        }


def numbered(queue: str, first: int, count: int) -> dict[int, str]:
    """The jobs' ids by their numbers."""
    return {number: f"{queue}-{number}" for number in range(first, first + count)}


def fails(number: int, fail_every: int) -> bool:
    """Whether a job is one of those that fail."""
    return fail_every > 0 and number % fail_every == 0
