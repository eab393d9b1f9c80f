"""What jobs themselves wrote down: one line when they start, and one when they are done or failed.

Both applications in tests/apps write the same line: WHAT ID WORKER_PID RELEASE UNIX_TIME.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class JobLine:
    """One line: `what` is started, done or failed; `worker` is the pid of the worker's main process."""

    what: str
    id: str
    worker: int
    release: str
    at: float


@dataclass(frozen=True, slots=True)
class JobLog:
    """The file that all jobs of a test append to."""

    path: Path

    def lines(self) -> list[JobLine]:
        """Every whole line so far."""
        text = self.path.read_text() if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [
            JobLine(what, job, int(pid), release, float(at)) for what, job, pid, release, at in map(str.split, whole)
        ]

    def count(self, what: str) -> Counter[str]:
        """How often each job wrote `what`."""
        return Counter(line.id for line in self.lines() if line.what == what)

    def ended(self) -> Counter[str]:
        """How often each job came to its end, done or failed."""
        return self.count("done") + self.count("failed")

    def in_hand(self) -> dict[str, int]:
        """The jobs whose last line is a start: id to worker pid."""
        last = {line.id: line for line in self.lines()}
        return {job: line.worker for job, line in last.items() if line.what == "started"}

    def interrupted(self) -> Counter[int]:
        """How many starts of each worker have no end by the same worker (so far)."""
        open_starts: Counter[tuple[str, int]] = Counter()
        for line in self.lines():
            open_starts[line.id, line.worker] += 1 if line.what == "started" else -1
        workers: Counter[int] = Counter()
        for (_, worker), starts in open_starts.items():
            workers[worker] += starts
        return +workers
