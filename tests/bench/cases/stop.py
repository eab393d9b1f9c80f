"""Stop of all: from the signal to the supervisor until the last worker, and then the supervisor itself, is gone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from tests.bench.bench import Bench
from tests.bench.board import NANOSECONDS
from tests.bench.fleet import Contender, running

CASE = "stop"


def measure(bench: Bench) -> None:
    """Each contender with all workers."""
    for contender in bench.contenders:
        bench.repeat(CASE, contender, titles(bench.scale.workers), partial(stop, bench))
    bench.figures.note(CASE, "From the supervisor's TERM (runit: HUP, its signal for this).")


def titles(workers: int) -> list[str]:
    """What the table calls them."""
    return [f"{workers} workers gone, s", "supervisor gone, s"]


def stop(bench: Bench, contender: Contender) -> Mapping[str, float]:
    """One stop."""
    with running(contender, bench.scale.workers, bench.worker) as fleet:
        fleet.started()
        fleet.settle()
        living = fleet.board.living()
        began = fleet.stop()
        fleet.wait_until_gone()
        ended = time.monotonic_ns()
        died = [fleet.board[number].died for number in living]
        if not all(died):
            raise RuntimeError(f"{died.count(0)} workers were not stopped but killed")
        return dict(
            zip(titles(bench.scale.workers), ((at - began) / NANOSECONDS for at in (max(died), ended)), strict=True)
        )
