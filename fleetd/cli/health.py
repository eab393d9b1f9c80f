"""`fleetd health`"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser, add_json, add_targets
from fleetd.cli.waiting import print_json
from fleetd.errors import ExitCode, UsageError
from fleetd.views.control_characters import made_visible


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--ready", action="store_true", help="also ask that every worker takes jobs")
    asked.add_argument(
        "--alive", action="store_true", help="ask only whether the daemon answers, whatever its workers do"
    )
    add_json(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Say whether all is well, and if not, why."""
    if args.alive and args.targets:
        raise UsageError("--alive is about the daemon: leave out TARGET, or --alive")
    health = _alive(args) if args.alive else _health(args)
    if args.json:
        print_json(health)
    elif health["healthy"]:
        print("healthy")
    else:
        for reason in health["reasons"]:
            print(made_visible(reason), file=sys.stderr)
    return ExitCode.DONE if health["healthy"] else ExitCode.FAILED


def _health(args: argparse.Namespace) -> Mapping[str, Any]:
    health: Mapping[str, Any] = daemon(args).ask("health", {"ready": args.ready, "targets": args.targets})
    return health


def _alive(args: argparse.Namespace) -> Mapping[str, Any]:
    daemon(args).ask("ping")
    return {"healthy": True, "reasons": []}
