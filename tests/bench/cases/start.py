"""Start of all: from the exec of the supervisor's command until the last worker runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tests.bench.bench import Bench
from tests.bench.board import NANOSECONDS
from tests.bench.fleet import Contender, running

CASE = "start"


def measure(bench: Bench) -> None:
    """All sizes, all contenders."""
    for workers in bench.scale.starts:
        for contender in bench.contenders:
            bench.repeat(CASE, contender, [title(workers)], partial(start, bench, workers))
    bench.figures.note(CASE, "From the exec of the supervisor until the last worker has reported.")


def title(workers: int) -> str:
    """What the table calls it."""
    return f"{workers:,} workers, s"


def start(bench: Bench, workers: int, contender: Contender) -> Mapping[str, float]:
    """One start."""
    with running(contender, workers, bench.worker) as fleet:
        last = max(record.born for record in fleet.started())
        return {title(workers): (last - fleet.began) / NANOSECONDS}
