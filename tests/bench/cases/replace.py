"""Replacement: from the end of a worker, or of all at once, until the successor runs."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from functools import partial

from tests.bench.bench import Bench
from tests.bench.board import NANOSECONDS
from tests.bench.figures import percentile
from tests.bench.fleet import Contender, Fleet, running

CASE = "replace"
TO_REPLACE_ONE = 15.0  # seconds
TO_REPLACE_ALL = 120.0

ENDED = {50: "one ended with exit code 0, p50 ms", 99: "the same, p99 ms"}
KILLED = {50: "one killed, p50 ms", 99: "one killed, p99 ms"}


def measure(bench: Bench) -> None:
    """Each contender."""
    for contender in bench.contenders:
        bench.attempt(CASE, contender, [*ENDED.values()], partial(one, bench, signal.SIGTERM, ENDED))
        bench.attempt(CASE, contender, [*KILLED.values()], partial(one, bench, signal.SIGKILL, KILLED))
        bench.repeat(CASE, contender, [all_killed(bench.scale.workers)], partial(all_at_once, bench))
    bench.figures.note(
        CASE,
        f"One: {bench.scale.kills} times, of {bench.scale.workers} workers. Every victim was well for longer "
        "than fleetd's first backoff, so it is replaced at once; supervisord and circus look once a second.",
    )


def all_killed(workers: int) -> str:
    """What the table calls it."""
    return f"all {workers} killed, s"


def one(bench: Bench, number: int, titles: Mapping[int, str], contender: Contender) -> Mapping[str, float]:
    """One after the other is ended by a signal; a worker that gets TERM exits with code 0 at once."""
    with running(contender, bench.scale.workers, bench.worker) as fleet:
        fleet.started()
        fleet.settle()
        times = [replaced(fleet, victim, number) for victim in fleet.board.living()[: bench.scale.kills]]
        return {title: percentile(times, share / 100) * 1000 for share, title in titles.items()}


def replaced(fleet: Fleet, victim: int, number: int) -> float:
    """Seconds from the signal to a worker until its successor has reported."""
    successor = len(fleet.board)
    at = fleet.board.kill(victim, fleet.order.worker, number)
    return (fleet.births(successor + 1, TO_REPLACE_ONE)[successor].born - at) / NANOSECONDS


def all_at_once(bench: Bench, contender: Contender) -> Mapping[str, float]:
    """All are killed, and as many have to come."""
    with running(contender, bench.scale.workers, bench.worker) as fleet:
        fleet.started()
        fleet.settle()
        before = len(fleet.board)
        began = min(fleet.board.kill(victim, fleet.order.worker) for victim in fleet.board.living())
        successors = fleet.births(before + bench.scale.workers, TO_REPLACE_ALL)[before:]
        return {all_killed(bench.scale.workers): (max(record.born for record in successors) - began) / NANOSECONDS}
