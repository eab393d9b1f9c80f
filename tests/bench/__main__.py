"""`python -m tests.bench`: the command line."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from tests.bench import fleet, limits, machine
from tests.bench.bench import Bench, Scale
from tests.bench.cases import CASES
from tests.bench.figures import Figure, Figures
from tests.bench.peers import MAKERS, found
from tests.bench.programs import MissingError, compiled
from tests.bench.table import as_markdown, as_text

HOME = Path(__file__).parents[2] / ".run" / "bench"
RESULT = HOME / "RESULT.json"


def main(arguments: list[str]) -> int:
    """Measure and print, or print what was measured before."""
    args = parser().parse_args(arguments)
    if args.markdown:
        print(as_markdown(read(args.result)))
        return 0
    fleet.adopt_orphans()
    limits.raise_open_files()
    facts = machine.facts()
    try:
        worker = compiled("worker", HOME)
        contenders = found(args.peers, HOME, tell)
    except MissingError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    bench = Bench(worker, contenders, scale(args), tell)
    facts["versions"] = {contender.label: contender.version for contender in contenders}
    try:
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


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    whole = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure fleetd beside other supervisors."
    )
    whole.add_argument("--only", type=names(CASES), default=[*CASES], metavar="CASE,…", help=", ".join(CASES))
    whole.add_argument("--peers", type=names(MAKERS), default=[*MAKERS], metavar="PEER,…", help=", ".join(MAKERS))
    whole.add_argument(
        "--workers", type=int, help=f"in all cases but the start (default {Scale.workers}), and there only"
    )
    whole.add_argument("--kills", type=int, default=Scale.kills, help=f"of one worker (default {Scale.kills})")
    whole.add_argument("--repeat", type=int, default=Scale.repeat, help=f"the median counts (default {Scale.repeat})")
    whole.add_argument("--result", type=Path, default=RESULT, help="where the figures go as JSON")
    whole.add_argument("--markdown", action="store_true", help="measure nothing: print the last result as Markdown")
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
        "figures": [{**asdict(figure), "median": figure.median} for figure in figures],
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
