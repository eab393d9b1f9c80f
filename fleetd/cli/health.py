"""`fleetd health`"""

from __future__ import annotations

import argparse
import sys

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser, add_json, add_targets
from fleetd.cli.waiting import print_json
from fleetd.errors import ExitCode
from fleetd.views.control_characters import made_visible

_LONGEST_WAIT = 10.0  # seconds; a check that hangs is a check that failed


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    parser.add_argument("--ready", action="store_true", help="also ask that every worker takes jobs")
    add_json(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Say whether all is well, and if not, why."""
    health = daemon(args).call("health", {"ready": args.ready, "targets": args.targets}, timeout=_LONGEST_WAIT)
    if args.json:
        print_json(health)
    elif health["healthy"]:
        print("healthy")
    else:
        for reason in health["reasons"]:
            print(made_visible(reason), file=sys.stderr)
    return ExitCode.DONE if health["healthy"] else ExitCode.FAILED
