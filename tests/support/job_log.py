"""What jobs themselves wrote down: one line when they start, and one when they are done or failed.

The applications in tests/apps write the same line: WHAT ID WORKER_PID RELEASE UNIX_TIME.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_for


@dataclass(frozen=True, slots=True)
class JobLine:
    """One line: `what` is started, done or failed; `worker` is the pid of the worker's main process."""

    what: str
    id: str
    worker: int
    release: str
    at: float


class Jobs(ABC):
    """What lines tell of the jobs that wrote them."""

    __slots__ = ()

    @abstractmethod
    def lines(self) -> Sequence[JobLine]:
        """Every line."""

    def count(self, *what: str) -> Counter[str]:
        """How often each job wrote one of these."""
        return Counter(line.id for line in self.lines() if line.what in what)

    def ended(self) -> Counter[str]:
        """How often each job came to its end, done or failed."""
        return self.count("done", "failed")

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


@dataclass(frozen=True, slots=True)
class SeenJobs(Jobs):
    """What was written down until one instant: two questions about jobs that go on have to be asked of the same."""

    seen: tuple[JobLine, ...]

    def lines(self) -> Sequence[JobLine]:
        """Every line until then."""
        return self.seen


@dataclass(frozen=True, slots=True)
class JobLog(Jobs):
    """The file that all jobs of a test append to; it is read anew for each question."""

    path: Path

    def lines(self) -> Sequence[JobLine]:
        """Every whole line so far."""
        text = self.path.read_text() if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [
            JobLine(what, job, int(pid), release, float(at)) for what, job, pid, release, at in map(str.split, whole)
        ]

    def now(self) -> SeenJobs:
        """All of it as it is now."""
        return SeenJobs(tuple(self.lines()))

    def at_rest(self, is_over: Callable[[SeenJobs], object], what: str, *, within: float) -> SeenJobs:
        """All of it, once `is_over` holds and still does after 5 s in which no job wrote anything.

        Between the queue and its first line a job is nowhere to be seen, for as long as a busy machine holds it up.
        """
        last: SeenJobs | None = None

        def look() -> SeenJobs | None:
            nonlocal last
            before, now = last, self.now()
            last = now if is_over(now) else None
            return last if last == before else None

        found = wait_for(look, what, within=within, every=5.0)
        assert found is not None
        return found
