"""`fleetd reload`"""

from __future__ import annotations

import argparse

from fleetd.cli.finding import add_daemon, daemon
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
    """Read the pool files again; print for each pool what became of it."""
    request = {"dry_run": args.dry_run, "wait": not args.no_wait}
    plan = carry_out(daemon(args), "reload", request, title="reload", quiet=args.json, timeout=args.timeout)
    if args.json:
        print_json(plan)
        return exit_code_of(plan)
    for pool in plan["pools"]:
        keys = f" ({', '.join(pool['keys'])})" if pool["keys"] else ""
        print(f"{pool['name']}: {pool['change']}{keys}")
    tell_trouble("fleetd reload", plan)
    return exit_code_of(plan)
