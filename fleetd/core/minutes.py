"""The history of jobs by the minute: what ended in each, by pool and queue, for a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from fleetd.core.spec import Seconds

MINUTE = 60
KEPT = 24 * 60  # minutes


class Row(Struct, frozen=True, array_like=True):
    """What ended in one minute: jobs of one queue of a pool (None: of an unknown one).

    `runtime` and `wait` are sums, in seconds, over the `timed` and `waited` jobs of which they are known.
    """

    pool: str
    queue: str | None = None
    done: int = 0
    failed: int = 0
    runtime: Seconds = 0.0
    timed: int = 0
    wait: Seconds = 0.0
    waited: int = 0


class _Cell(Struct):
    done: int = 0
    failed: int = 0
    runtime: Seconds = 0.0
    timed: int = 0
    wait: Seconds = 0.0
    waited: int = 0


class History(Struct):
    """The last minutes in which something ended, as far as this daemon has seen them: it `began` at (Unix seconds)."""

    began: float = 0.0
    minutes: dict[int, dict[tuple[str, str | None], _Cell]] = field(default_factory=dict)

    def end(self, unix: float, pool: str, queue: str | None, runtime: Seconds | None, *, failed: bool) -> None:
        """A job was done or failed at `unix`."""
        cell = self._cell(unix, pool, queue)
        if failed:
            cell.failed += 1
        else:
            cell.done += 1
        if runtime is not None:
            cell.runtime += runtime
            cell.timed += 1

    def start(self, unix: float, pool: str, queue: str | None, wait: Seconds) -> None:
        """A job started at `unix` that had waited so long."""
        cell = self._cell(unix, pool, queue)
        cell.wait += wait
        cell.waited += 1

    def rows(self, first: int) -> Iterator[tuple[int, tuple[Row, ...]]]:
        """The minutes (since 1970) from `first` on, oldest first, each with its rows; made as they are taken."""
        for minute in sorted(minute for minute in self.minutes if minute >= first):
            yield minute, tuple(_row(*item) for item in self.minutes[minute].items())

    def lately(self, unix: float, minutes: int) -> Mapping[str, Mapping[str | None, tuple[int, ...]]]:
        """How many jobs ended in each of the last minutes, the present one last, by pool and queue.

        No more than the minutes that were seen: a daemon that has just begun tells of one.
        """
        seen = len(self.seen(unix, minutes))
        counts: dict[str, dict[str | None, list[int]]] = {}
        for place, pool, queue, cell in self._cells(unix, seen):
            counts.setdefault(pool, {}).setdefault(queue, [0] * seen)[place] += cell.done + cell.failed
        return {pool: {queue: tuple(each) for queue, each in its.items()} for pool, its in counts.items()}

    def failed(self, unix: float, minutes: int) -> Mapping[str, Mapping[str | None, int]]:
        """How many jobs failed in all of the last minutes, by pool and queue."""
        counts: dict[str, dict[str | None, int]] = {}
        for _, pool, queue, cell in self._cells(unix, minutes):
            its = counts.setdefault(pool, {})
            its[queue] = its.get(queue, 0) + cell.failed
        return counts

    def seen(self, unix: float, minutes: int) -> tuple[int, ...]:
        """No job in each of the last minutes, as far as they were seen."""
        return (0,) * min(minutes, max(1, minute_of(unix) - minute_of(self.began) + 1))

    def _cells(self, unix: float, minutes: int) -> Iterator[tuple[int, str, str | None, _Cell]]:
        """Of the last minutes, each with the place of its minute, the present one being the last."""
        first = minute_of(unix) - minutes + 1
        for place in range(minutes):
            for (pool, queue), cell in self.minutes.get(first + place, {}).items():
                yield place, pool, queue, cell

    def _cell(self, unix: float, pool: str, queue: str | None) -> _Cell:
        minute = minute_of(unix)
        if minute not in self.minutes:
            self.minutes[minute] = {}
            for old in [each for each in self.minutes if not minute - KEPT < each <= minute]:
                del self.minutes[old]  # later ones are of a clock that was put right
        return self.minutes[minute].setdefault((pool, queue), _Cell())


def minute_of(unix: float) -> int:
    """The minute since 1970 in which an instant lies."""
    return int(unix // MINUTE)


def _row(key: tuple[str, str | None], cell: _Cell) -> Row:
    return Row(*key, cell.done, cell.failed, cell.runtime, cell.timed, cell.wait, cell.waited)
