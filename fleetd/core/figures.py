"""What became of jobs, in numbers: of a whole pool, of one of its queues, of one class of jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, field

from fleetd.core.histogram import Histogram
from fleetd.core.records import Counters, Tally
from fleetd.core.spec import Seconds

RECENT, RECENT_OF_ROW = 500, 100  # jobs whose runtime and wait are remembered, of a pool and of a part of it
WINDOW = 60.0  # seconds that "per minute" looks back
MOST_ROWS = 200  # queues, or classes of jobs, of a pool that are told apart
OTHERS = "(others)"  # stands for all beyond them


class Figures(Struct):
    """Counters that only grow, and the last jobs' runtimes and waits, in seconds."""

    done: int = 0
    failed: int = 0
    runtimes: deque[Seconds] = field(default_factory=lambda: deque(maxlen=RECENT))
    waits: deque[Seconds] = field(default_factory=lambda: deque(maxlen=RECENT))
    ended: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=64))  # (second, jobs)

    @property
    def tally(self) -> Tally:
        """The counters, to be written down."""
        return (self.done, self.failed)

    @property
    def runtime(self) -> Seconds | None:
        """The mean of the last runtimes; None: no runtime is known."""
        return sum(self.runtimes) / len(self.runtimes) if self.runtimes else None

    @property
    def is_empty(self) -> bool:
        """Whether no job was counted."""
        return not (self.done or self.failed)

    def per_minute(self, now: Seconds) -> int:
        """Jobs that ended in the last minute before `now`, which is monotonic."""
        return sum(jobs for second, jobs in self.ended if second > now - WINDOW)

    def end(self, runtime: Seconds | None, now: Seconds, *, failed: bool) -> None:
        """Count a job that was done or failed now."""
        if failed:
            self.failed += 1
        else:
            self.done += 1
        if runtime is not None:
            self.runtimes.append(runtime)
        second = int(now)
        if self.ended and self.ended[-1][0] == second:
            self.ended[-1] = (second, self.ended[-1][1] + 1)
        else:
            self.ended.append((second, 1))


class Ledger(Struct):
    """The figures of a pool, and of its queues and classes of jobs, by name; `runtimes` begin anew with the daemon."""

    pool: Figures = field(default_factory=Figures)
    runtimes: Histogram = field(default_factory=Histogram)
    queues: dict[str, Figures] = field(default_factory=dict)
    classes: dict[str, Figures] = field(default_factory=dict)

    def row_of(self, queue: str | None) -> str | None:
        """The name under which a queue's jobs are counted."""
        return next(iter(_keys(self.queues, queue)), None)

    def start(self, queue: str | None, name: str | None, wait: Seconds) -> None:
        """Note how long a job had waited that starts now."""
        for figures in (self.pool, *self._rows(queue, name)):
            figures.waits.append(wait)

    def end(
        self, queue: str | None, name: str | None, runtime: Seconds | None, now: Seconds, *, failed: bool
    ) -> Counters:
        """Count a job that ended now, and answer the counters that this changed."""
        for figures in (self.pool, *self._rows(queue, name)):
            figures.end(runtime, now, failed=failed)
        if runtime is not None:
            self.runtimes.add(runtime)
        return Counters(
            self.pool.tally,
            {key: self.queues[key].tally for key in _keys(self.queues, queue)},
            {key: self.classes[key].tally for key in _keys(self.classes, name)},
        )

    def counters(self) -> Counters:
        """All counters."""
        return Counters(self.pool.tally, _tallies(self.queues), _tallies(self.classes))

    def restore(self, counters: Counters) -> None:
        """Go on from counters that were written down."""
        self.pool.done, self.pool.failed = counters.total
        for rows, tallies in ((self.queues, counters.queues), (self.classes, counters.classes)):
            for key, tally in tallies.items():
                rows[key] = row(*tally)

    def _rows(self, queue: str | None, name: str | None) -> list[Figures]:
        pairs = ((self.queues, queue), (self.classes, name))
        return [rows.setdefault(key, row()) for rows, wanted in pairs for key in _keys(rows, wanted)]


def row(done: int = 0, failed: int = 0) -> Figures:
    """The figures of a part of a pool, which remember fewer jobs."""
    return Figures(done, failed, deque(maxlen=RECENT_OF_ROW), deque(maxlen=RECENT_OF_ROW))


def _keys(rows: Mapping[str, Figures], wanted: str | None) -> tuple[str, ...]:
    """The row that a queue or a class is counted in: its own while there is room, none where its name is not known."""
    if wanted is None:
        return ()
    return (wanted,) if wanted in rows or len(rows) < MOST_ROWS else (OTHERS,)


def _tallies(rows: Mapping[str, Figures]) -> Mapping[str, Tally]:
    return MappingProxyType({key: figures.tally for key, figures in rows.items() if not figures.is_empty})
