"""Start of all: from the exec of the supervisor's command until the last worker runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tests.bench.bench import Bench
from tests.bench.board import NANOSECONDS
from tests.bench.fleet import Contender, running

CASE = "start"
MANY = 1000  # workers: more are started once only, since some contenders take half a minute


def measure(bench: Bench) -> None:
    """All sizes, all contenders."""
    for workers in bench.scale.starts:
        for contender in bench.contenders:
            take = bench.attempt if workers > MANY else bench.repeat
            take(CASE, contender, titles(workers), partial(start, bench, workers))
    bench.figures.note(
        CASE, "From the exec of the supervisor, or from the first report, until the last worker has reported."
    )


def title(workers: int) -> str:
    """What the table calls the headline."""
    return f"{workers:,} workers, s"


def titles(workers: int) -> list[str]:
    """What the table calls the measures."""
    return [title(workers), f"{workers:,} workers, first to last, s"]


def start(bench: Bench, workers: int, contender: Contender) -> Mapping[str, float]:
    """One start."""
    with running(contender, workers, bench.worker) as fleet:
        births = [record.born for record in fleet.started()]
        spans = (max(births) - fleet.began, max(births) - min(births))
        return {title: span / NANOSECONDS for title, span in zip(titles(workers), spans, strict=True)}
