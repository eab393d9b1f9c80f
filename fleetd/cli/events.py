"""`fleetd events`"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.fleet_of import add_fleet, is_named, the_fleet
from fleetd.cli.parser import Parser
from fleetd.cli.waiting import print_json
from fleetd.errors import ExitCode
from fleetd.views.control_characters import made_visible


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what happens from now on")
    parser.add_argument("-n", metavar="N", type=int, default=100, help="how many of the last ones (100)")
    parser.add_argument("--json", action="store_true", help="print one JSON document a line")
    add_daemon(parser)
    add_fleet(parser, shows="of all hosts")


def run(args: argparse.Namespace) -> int:
    """Print what happened, oldest first."""
    if is_named(args):
        address = the_fleet(args)
        from fleetd.cli.fleet_events import print_events  # noqa: PLC0415 - what a fleet needs is for fleets

        print_events(args, address)
        return ExitCode.DONE
    client = daemon(args)
    client.ask("ping")  # one that hangs would be waited for without end: there may be no event for hours
    for event in client.stream("events", {"follow": args.follow, "n": args.n}):
        if args.json:
            print_json(event)
        else:
            print(_line(event))
        if args.follow:
            sys.stdout.flush()
    return ExitCode.DONE


def _line(event: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(event["at"], UTC).astimezone().isoformat(sep=" ", timespec="seconds")
    return f"{at} {event['kind']} {made_visible(event['text'])}"
