"""Idle: what it costs that workers are there and nothing happens."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from tests.bench import process_table
from tests.bench.bench import Bench
from tests.bench.fleet import Contender, running

CASE = "idle"
TITLES = ("CPU % of a core", "wake-ups a second", "RSS, MB", "PSS, MB")
QUIET = 3.0  # seconds since the last start


def measure(bench: Bench) -> None:
    """Each contender with all workers."""
    for contender in bench.contenders:
        bench.attempt(CASE, contender, TITLES, partial(idle, bench))
    bench.figures.note(
        CASE,
        f"{bench.scale.workers} workers, {bench.scale.idle:g} s, all processes of the supervisor together without the "
        "workers. Wake-ups are voluntary context switches.",
    )


def idle(bench: Bench, contender: Contender) -> Mapping[str, float]:
    """One period in which nothing happens."""
    with running(contender, bench.scale.workers, bench.worker) as fleet:
        fleet.started()
        fleet.settle(QUIET)
        before = process_table.usage(fleet.supervisors())
        began = time.monotonic()
        time.sleep(bench.scale.idle)
        used = process_table.spent(before)
        took = time.monotonic() - began
        memory = process_table.memory(fleet.supervisors())
        values = (used.cpu / took * 100, used.wakeups / took, memory.rss, memory.pss)
        return dict(zip(TITLES, values, strict=True))
