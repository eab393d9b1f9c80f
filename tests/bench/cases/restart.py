"""Restart of all, and how many workers are there meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tests.bench.bench import Bench
from tests.bench.board import NANOSECONDS, fewest_alive
from tests.bench.figures import FLEETD
from tests.bench.fleet import Contender, running
from tests.bench.peers.fleetd import Fleetd

CASE = "restart"
SURE = "fleetd, 50 ms"
TO_RESTART = 180.0
ONE_BY_ONE = 20  # workers: with fleetd's defaults each takes a second


def measure(bench: Bench) -> None:
    """Each contender with all workers, fleetd in several ways."""
    workers = bench.scale.workers
    for contender in bench.contenders:
        for chosen in in_all_ways(workers) if contender.label == FLEETD else [contender]:
            bench.repeat(CASE, chosen, titles(workers), partial(restart, bench, workers))
    if any(contender.label == FLEETD for contender in bench.contenders):
        bench.attempt(CASE, Fleetd("fleetd, defaults"), titles(ONE_BY_ONE), partial(restart, bench, ONE_BY_ONE))
    bench.figures.note(
        CASE,
        "Until the last successor runs and the last old worker is gone. fleetd: `restart --graceful`, healthy-after 0, "
        "max-surge as many as there are workers; with 0 a worker counts from its exec, a moment before it reports: "
        "hence the one with 50 ms. Surge 1: one by one; --now: no replacements first; defaults: one by one, 1 s each.",
    )


def in_all_ways(workers: int) -> list[Fleetd]:
    """How fleetd can restart many workers."""
    return [
        Fleetd(pool={"healthy-after": 0, "max-surge": workers}),
        surely(workers),
        Fleetd("fleetd, surge 1", pool={"healthy-after": 0}),
        Fleetd("fleetd, --now", restart=("--now",)),
    ]


def surely(workers: int) -> Fleetd:
    """A moment longer, so that every successor has reported before an old worker leaves."""
    return Fleetd(SURE, pool={"healthy-after": "50ms", "max-surge": workers})


def titles(workers: int) -> list[str]:
    """What the table calls them."""
    return [f"{workers} workers, s", f"fewest alive of {workers}"]


def restart(bench: Bench, workers: int, contender: Contender) -> Mapping[str, float]:
    """One restart of all."""
    with running(contender, workers, bench.worker) as fleet:
        fleet.started()
        fleet.settle()
        before = len(fleet.board)
        began = fleet.restart(TO_RESTART)
        fleet.births(before + workers, TO_RESTART)
        fleet.settle(0)
        records = [fleet.board[number] for number in range(len(fleet.board))]
        last = max(max(record.born, record.died) for record in records)
        seconds, fewest = (last - began) / NANOSECONDS, fewest_alive(fleet.board, began)
        return dict(zip(titles(workers), (seconds, float(fewest)), strict=True))
