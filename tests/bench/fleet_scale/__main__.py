"""`python -m tests.bench.fleet_scale`: the command line."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench import limits, machine
from tests.bench.figures import Figures
from tests.bench.fleet_scale.run import Scale, measured
from tests.bench.table import as_text

RESULT = Path(__file__).parents[3] / ".run" / "bench" / "SCALE.json"


def main(arguments: list[str]) -> int:
    """Measure fleets of several sizes, each in a process of its own, and print."""
    args = parser().parse_args(arguments)
    limits.raise_open_files()
    figures = Figures()
    for count in args.members:
        scale = Scale(count, args.pools, args.workers, args.seconds, args.repeat)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            for case, values in alone.submit(measured, scale).result():
                for title, value in values.items():
                    figures.add(case, title, f"{count} members", value)
    facts = machine.facts()
    print("\n\n".join(as_text(figures, case) for case in figures.cases()))
    args.result.parent.mkdir(parents=True, exist_ok=True)
    found = [{"case": f.case, "measure": f.measure, "members": f.contender, "values": f.values} for f in figures]
    args.result.write_text(json.dumps({"machine": facts, "figures": found}, indent=1) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    usual = Scale()
    whole = argparse.ArgumentParser(prog="python -m tests.bench.fleet_scale", description="Measure a fleet's Redis.")
    add = whole.add_argument
    add("--members", type=counts, default=[100, 250, 500], metavar="N,…", help="(default 100,250,500)")
    add("--pools", type=int, default=usual.pools, help="of a member (default %(default)s)")
    add("--workers", type=int, default=usual.workers, help="of a pool (default %(default)s)")
    add("--seconds", type=float, default=usual.seconds, help="of each idle period (default %(default)s)")
    add("--repeat", type=int, default=usual.repeat, help="of each request (default %(default)s)")
    add("--result", type=Path, default=RESULT, help="where the figures are kept as JSON")
    return whole


def counts(text: str) -> list[int]:
    """Numbers with commas between them."""
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
