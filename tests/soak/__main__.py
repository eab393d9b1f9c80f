"""`python -m tests.soak`: the command line."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.soak.soak import Result, Soak

KINDS = {"daemon": 1000, "keeper": 1000, "both": 1000, "upgrade": 100}  # rounds where nothing else is asked for


def main(arguments: Sequence[str]) -> int:
    """Do the rounds, print what came of them; 1 when anything was lost."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # an end like any other: all is ended
    args = parser().parse_args(arguments)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
    results = [soak(kind, args.rounds or KINDS[kind], seed=seed, workers=args.workers) for kind in args.kill]
    print(table(results))
    for result in results:
        for loss in result.losses:
            print(f"LOST: {loss}")
    return 1 if any(result.losses for result in results) else 0


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    whole = argparse.ArgumentParser(prog="python -m tests.soak", description="Kill the daemon, over and over.")
    usual = ", ".join(f"{rounds} of {kind}" for kind, rounds in KINDS.items())
    whole.add_argument("--rounds", type=int, help=f"of each kind (default {usual})")
    whole.add_argument("--seed", type=int, help="what was random is so again, as far as it can be")
    whole.add_argument("--kill", type=kinds, default=["daemon"], metavar="WHAT,…", help=f"{', '.join(KINDS)}; or all")
    whole.add_argument("--workers", type=int, default=20)
    return whole


def kinds(text: str) -> list[str]:
    """A comma-separated list of kinds."""
    chosen = list(KINDS) if text == "all" else text.split(",")
    for kind in chosen:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"{kind!r} is none of {', '.join(KINDS)}, all")
    return chosen


def soak(kind: str, rounds: int, *, seed: int, workers: int = 20) -> Result:
    """The rounds of one kind, in a directory that is kept when anything was lost."""
    directory = Path(tempfile.mkdtemp(prefix="fleetd-soak-", dir="/tmp"))
    tell(f"{kind}: {rounds} rounds, seed {seed}, in {directory}")
    one = Soak(directory, kind, seed=seed, workers=workers, tell=tell)
    try:
        result = one.run(rounds)
    except BaseException:
        tell(f"{one.where}: failed; {directory} is kept")
        one.abandon()
        raise
    if result.losses:
        one.abandon()
        tell(f"{kind}: {directory} is kept")
    else:
        shutil.rmtree(directory)
    return result


def table(results: Sequence[Result]) -> str:
    """What came of them."""
    lines = [
        "| killed | rounds | losses | runs | lines | repeated | jobs | back after, p50 / p99 s | daemon | keeper |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for done in results:
        starts = sorted(done.starts) or [0.0]
        back = f"{starts[len(starts) // 2]:.2f} / {starts[int(0.99 * (len(starts) - 1))]:.2f}"
        sizes = [" → ".join(map(str, done.sizes.get(name, ()))) for name in ("daemon", "keeper")]
        cells = [
            done.kind,
            done.rounds,
            len(done.losses),
            done.runs,
            done.lines,
            done.repeated,
            done.jobs,
            back,
            *sizes,
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
