"""`fleetd restart`"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.host import add_host, check_host
from fleetd.cli.later import not_yet
from fleetd.cli.parser import Parser, add_json, add_targets
from fleetd.cli.rollout import exit_code_of, tell_trouble
from fleetd.cli.waiting import add_waiting, carry_out, print_json
from fleetd.config.durations import format_duration


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--graceful", action="store_true", help="replacements first, jobs finish (the default)")
    how.add_argument("--now", action="store_true", help="stop signal, SIGKILL after 5 s, no replacement first")
    add_host(parser)
    parser.add_argument("--local", action="store_true", help="this host only, whatever fleet it is in")
    parser.add_argument("--label", metavar="TEXT", help="what the restart is for; shown in events")
    parser.add_argument("--max-parallel-hosts", metavar="N", help="how many hosts may roll at once (needs a fleet)")
    add_waiting(parser)
    add_json(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Roll workers onto new code and wait until they run it."""
    if args.max_parallel_hosts is not None:
        raise not_yet("--max-parallel-hosts needs [fleet]")
    client = daemon(args)
    check_host(client, args.hosts)
    request = {
        "targets": args.targets,
        "now": args.now,
        "label": args.label,
        "wait": not args.no_wait,
        "timeout": args.timeout,
    }
    roll = carry_out(client, "restart", request, title="restart", quiet=args.json)
    if args.json:
        print_json(roll)
    else:
        tell_trouble("fleetd restart", roll)
        if roll["state"] == "done":
            _tell(roll)
    return exit_code_of(roll)


def _tell(roll: Mapping[str, Any]) -> None:
    drain = format_duration(round(roll["longest_drain"] or 0))
    print(f"{roll['done']} workers restarted in {format_duration(round(roll['duration']))}, longest drain {drain}")
