"""`fleetd reload`"""

from __future__ import annotations

import argparse
from typing import Any

from fleetd.cli.finding import add_daemon, daemon, named_by
from fleetd.cli.local_outcome import exit_code_of, tell_trouble
from fleetd.cli.parser import Parser, add_json
from fleetd.cli.waiting import add_waiting, carry_out, print_json


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    add_waiting(parser)
    add_json(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Read the pool files again; print for each pool what became of it, and for each other table that changed."""
    request = {"dry_run": args.dry_run, "wait": not args.no_wait}
    plan = carry_out(daemon(args), "reload", request, title="reload", quiet=args.json, timeout=args.timeout)
    if args.json:
        print_json(plan)
        return exit_code_of(plan)
    for pool in plan["pools"]:
        print(f"{pool['name']}: {_told(pool)}")
    for table in plan.get("tables", ()):  # an older daemon does not tell
        print(f"[{table['name']}]: {_told(table)}")
    tell_trouble("fleetd reload", plan, named=named_by(args))
    return exit_code_of(plan)


def _told(change: dict[str, Any]) -> str:
    keys = f" ({', '.join(change['keys'])})" if change["keys"] else ""
    return f"{change['change']}{keys}"
