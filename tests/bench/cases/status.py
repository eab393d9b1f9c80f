"""The status command as a whole process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tests.bench.bench import Bench
from tests.bench.figures import percentile
from tests.bench.fleet import Contender, Fleet, running

CASE = "status"
TIMES = 20
TO_ANSWER = 30.0  # seconds


def measure(bench: Bench) -> None:
    """Each contender that has such a command."""
    for contender in bench.contenders:
        if contender.has_status:
            bench.attempt(CASE, contender, [title(bench.scale.workers)], partial(status, bench))
    bench.figures.note(CASE, f"{TIMES} times; circusctl lists pids only, without states.")


def title(workers: int) -> str:
    """What the table calls it."""
    return f"{workers} workers, p50 ms"


def status(bench: Bench, contender: Contender) -> Mapping[str, float]:
    """The median of some."""
    with running(contender, bench.scale.workers, bench.worker) as fleet:
        fleet.started()
        fleet.settle()
        return {title(bench.scale.workers): median_ms(fleet, TIMES)}


def median_ms(fleet: Fleet, times: int) -> float:
    """How long the command takes from its exec to its end."""
    command = fleet.contender.status(fleet.order)
    return percentile([fleet.run(command, TO_ANSWER) for _ in range(times)], 0.5) * 1000
