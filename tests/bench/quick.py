"""`make bench-quick`: fleetd and the floor only, in about a minute, with a verdict."""

from __future__ import annotations

import signal
from functools import partial

from tests.bench import expected
from tests.bench.bench import Bench, Scale
from tests.bench.cases import output, replace, restart, start, status, stop
from tests.bench.fleet import Contender
from tests.bench.peers.fleetd import Fleetd

PEERS = ("floor", "fleetd")
TRIES = 4  # of a case that is slower than expected, for a machine has hiccups, and they may hit fleetd alone
SCALE = Scale(starts=(500,), workers=200, kills=20, repeat=3, flood=64_000_000, steady=5.0)


def run(bench: Bench) -> None:
    """Every case that needs no long time, until it is as fast as expected, failed, or was tried often enough."""
    for case, measure in PARTS.items():
        measure(bench)
        for _ in range(TRIES - 1):
            off = [broken for broken in expected.off(bench.figures, bench.scale) if broken.case == case]
            if not off or any(broken.is_failure for broken in off):
                break
            bench.tell(f"{case}: slower than expected; once more")
            bench.figures.forget(case)
            measure(bench)


def complaints(bench: Bench) -> list[str]:
    """What is wrong: lines lost or torn, or figures far off."""
    far_off = [broken.why for broken in expected.off(bench.figures, bench.scale)]
    return [*expected.lost_or_torn(bench.figures), *far_off]


def _replace(bench: Bench) -> None:
    all_killed = replace.all_killed(bench.scale.workers)
    for contender in bench.contenders:
        one_killed = partial(replace.one, bench, signal.SIGKILL, replace.KILLED)
        bench.attempt(replace.CASE, contender, [*replace.KILLED.values()], one_killed)
        bench.attempt(replace.CASE, contender, [all_killed], partial(replace.all_at_once, bench))


def _restart(bench: Bench) -> None:
    workers = bench.scale.workers
    surely = restart.surely(workers)
    bench.attempt(restart.CASE, surely, restart.titles(workers), partial(restart.restart, bench, workers))


def _output(bench: Bench) -> None:
    flood, steady = output.flood(output.MANY, bench.scale.flood), output.steady(bench.scale.rate, bench.scale.steady)
    pairs: list[tuple[Contender, output.Load]] = [
        (Fleetd(), steady),
        (Fleetd(), flood),
        (output.looking_for_jobs(), flood),
    ]
    for contender, load in pairs:
        bench.attempt(output.CASE, contender, load.titles(), partial(output.capture, bench, load))


PARTS = {
    start.CASE: start.measure,
    replace.CASE: _replace,
    restart.CASE: _restart,
    stop.CASE: stop.measure,
    status.CASE: status.measure,
    output.CASE: _output,
}
