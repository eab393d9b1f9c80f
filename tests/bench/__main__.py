"""`python -m tests.bench`: the command line."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from tests.bench import fleet, limits, machine, quick
from tests.bench.bench import Bench, Scale
from tests.bench.cases import CASES
from tests.bench.figures import Figure, Figures
from tests.bench.peers import MAKERS, found
from tests.bench.programs import MissingError, compiled
from tests.bench.table import as_markdown, as_text

HOME = Path(__file__).parents[2] / ".run" / "bench"
RESULT = HOME / "RESULT.json"
QUICK_RESULT = HOME / "QUICK.json"


def main(arguments: list[str]) -> int:
    """Measure and print, or print what was measured before."""
    args = parser().parse_args(arguments)
    if args.quick:
        args.peers, args.result = [*quick.PEERS], QUICK_RESULT
    if args.markdown:
        print(as_markdown(read(args.result)))
        return 0
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # an end like any other: all is ended
    fleet.adopt_orphans()
    limits.raise_open_files()
    facts = machine.facts()
    try:
        worker = compiled("worker", args.programs)
        contenders = found(args.peers, args.programs, tell)
    except MissingError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    bench = Bench(worker, contenders, scale(args), tell)
    facts["versions"] = {contender.label: contender.version for contender in contenders}
    try:
        if args.quick:
            return judged(bench)
        for case in args.only:
            CASES[case](bench)
            print(f"\n{as_text(bench.figures, case)}\n", flush=True)
    except KeyboardInterrupt:
        print("bench: interrupted; what was measured so far is kept", file=sys.stderr)
        return 130
    finally:
        fleet.kill_descendants()
        write(args.result, facts, bench.figures)
    return 0


def judged(bench: Bench) -> int:
    """The short run, with a verdict."""
    quick.run(bench)
    for case in bench.figures.cases():
        print(f"\n{as_text(bench.figures, case)}")
    complaints = quick.complaints(bench)
    for complaint in complaints:
        print(f"bench-quick: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    whole = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure fleetd beside other supervisors."
    )
    usual = Scale()
    add = whole.add_argument
    add("--only", type=names(CASES), default=[*CASES], metavar="CASE,…", help=", ".join(CASES))
    add("--peers", type=names(MAKERS), default=[*MAKERS], metavar="PEER,…", help=", ".join(MAKERS))
    add("--workers", type=int, help=f"(default {usual.workers}; for the start {', '.join(map(str, usual.starts))})")
    add("--kills", type=int, default=usual.kills, help="of one worker (default %(default)s)")
    add("--repeat", type=int, default=usual.repeat, help="how often; the median counts (default %(default)s)")
    add("--quick", action="store_true", help="fleetd and the floor in a minute, and exit 1 if it is far off")
    add("--markdown", action="store_true", help="measure nothing: print the last result as Markdown")
    add("--result", type=Path, default=RESULT, help="where the figures are kept as JSON")
    add("--programs", type=Path, default=HOME, help="where programs are compiled and peers installed")
    return whole


def names(known: object) -> object:
    """A comma-separated list of names that are known."""

    def split(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return chosen

    return split


def scale(args: argparse.Namespace) -> Scale:
    """How much of everything."""
    if args.quick:
        return quick.SCALE
    chosen = Scale(kills=args.kills, repeat=args.repeat)
    return replace(chosen, workers=args.workers, starts=(args.workers,)) if args.workers else chosen


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def write(path: Path, facts: dict[str, object], figures: Figures) -> None:
    """The result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": facts,
        "figures": [{**asdict(figure), **figure.summary()} for figure in figures],
        "notes": figures.notes,
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def read(path: Path) -> Figures:
    """A result that was written."""
    document = json.loads(path.read_text())
    fields = ("case", "measure", "contender", "values", "failed")
    figures = Figures(Figure(**{name: figure[name] for name in fields}) for figure in document["figures"])
    figures.notes = document["notes"]
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
