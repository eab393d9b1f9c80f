"""Takeover: the supervisor is killed and run again, and what becomes of the workers that it had."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from fleetd.client.control import ControlClient
from fleetd.errors import FleetdError
from tests.bench import process_table
from tests.bench.bench import Bench
from tests.bench.board import NANOSECONDS, OverdueError, is_running
from tests.bench.fleet import TO_START, Contender, Fleet, running
from tests.bench.peers.fleetd import Fleetd
from tests.bench.peers.supervisord import Supervisord

CASE = "takeover"
TITLES = (
    "first start, until commands are answered and all run, s",
    "killed and run again, until the same, s",
    "workers that lived through it",
    "worker processes afterwards",
    "RSS before, MB",
    "RSS afterwards, MB",
    "PSS before, MB",
    "PSS afterwards, MB",
)
QUIET = 3.0  # seconds since the last start


def measure(bench: Bench) -> None:
    """fleetd, and supervisord for what happens without a keeper."""
    for contender in bench.contenders:
        if isinstance(contender, Fleetd | Supervisord):
            bench.repeat(CASE, contender, TITLES, partial(take_over, bench))
    bench.figures.note(
        CASE,
        f"{bench.scale.workers} workers. SIGKILL to the supervisor, then its command once more. Until commands are "
        "answered and every worker is known to run: fleetd's by its control socket; supervisord's once it has started "
        "all anew. Memory: all processes of the supervisor together, the keeper too.",
    )


def take_over(bench: Bench, contender: Contender) -> Mapping[str, float]:
    """One kill."""
    with running(contender, bench.scale.workers, bench.worker) as fleet:
        fleet.started()
        first = _until_all_run(fleet, bench.scale.workers) - fleet.began
        fleet.settle(QUIET)
        pids = {fleet.board[number].pid for number in fleet.board.living()}
        before = process_table.memory(_supervisors(fleet))
        fleet.process.kill()
        fleet.process.wait()
        fleet.run_again()
        again = _until_all_run(fleet, 2 * bench.scale.workers) - fleet.began
        time.sleep(QUIET)
        after = process_table.memory(_supervisors(fleet))
        lived = sum(is_running(pid, fleet.order.worker) for pid in pids)
        there = sum(is_running(pid, fleet.order.worker) for pid in process_table.descendants(os.getpid()))
        times = (first / NANOSECONDS, again / NANOSECONDS)
        values = (*times, lived, there, before.rss, after.rss, before.pss, after.pss)
        return dict(zip(TITLES, values, strict=True))


def _supervisors(fleet: Fleet) -> list[int]:
    """All processes but the workers: what lost its parent is ours now."""
    return [pid for pid in process_table.descendants(os.getpid()) if not is_running(pid, fleet.order.worker)]


def _until_all_run(fleet: Fleet, births: int) -> int:
    """When (ns) it answered that all workers run; of supervisord: when so many were born."""
    if not isinstance(fleet.contender, Fleetd):
        return max(record.born for record in fleet.births(births, TO_START))
    client = ControlClient("bench", fleet.contender.control(fleet.order))
    deadline = time.monotonic() + TO_START
    while time.monotonic() < deadline:
        with suppress(FleetdError):
            pools = client.call("status", timeout=TO_START)["pools"]
            if sum(worker["pid"] is not None for pool in pools for worker in pool["workers"]) == fleet.order.workers:
                return time.monotonic_ns()
        time.sleep(0.001)
    raise OverdueError(f"not all of {fleet.order.workers} workers are known to run after {TO_START:g} s")
