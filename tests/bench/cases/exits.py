"""Workers that exit at once, which a supervisor must bear."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from tests.bench import process_table
from tests.bench.bench import Bench
from tests.bench.fleet import Contender, Fleet, running

CASE = "exits"
TITLES = ("restarts a second", "CPU % of a core")
WORKERS = 100
# Before the measurement so many starts, or so long: until then fleetd does not pace workers that exit as planned.
STARTS_BEFORE, SECONDS_BEFORE = 25 * WORKERS, 10.0


def measure(bench: Bench) -> None:
    """Each contender."""
    for contender in bench.contenders:
        bench.attempt(CASE, contender, TITLES, partial(exits, bench))
    bench.figures.note(
        CASE,
        f"{WORKERS} workers that exit with code 0 as soon as they run, over {bench.scale.exits:g} s. fleetd paces them "
        "on purpose: after 20 such exits in a row a worker starts 20 times a second at most, all of them 100 times.",
    )


def exits(bench: Bench, contender: Contender) -> Mapping[str, float]:
    """One period of restarts."""
    with running(contender, WORKERS, bench.worker, "exit") as fleet:
        fleet.started()
        _warm_up(fleet)
        before, births = process_table.usage(fleet.supervisors()), len(fleet.board)
        began = time.monotonic()
        time.sleep(bench.scale.exits)
        used, births = process_table.spent(before), len(fleet.board) - births
        took = time.monotonic() - began
        return dict(zip(TITLES, (births / took, used.cpu / took * 100), strict=True))


def _warm_up(fleet: Fleet) -> None:
    deadline = time.monotonic() + SECONDS_BEFORE
    while len(fleet.board) < STARTS_BEFORE and time.monotonic() < deadline:
        time.sleep(0.05)
