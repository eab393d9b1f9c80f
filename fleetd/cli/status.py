"""`fleetd status`"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from fleetd.cli.coloured import painted, width
from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.fleet_of import add_fleet, is_named, split_flag, the_fleet
from fleetd.cli.live import can_be_live, is_live_by_default, live
from fleetd.cli.parser import Parser, add_json, add_targets
from fleetd.cli.waiting import print_json
from fleetd.client.control import ControlClient
from fleetd.errors import ExitCode, UsageError
from fleetd.views.control_characters import made_visible
from fleetd.views.fleet_trouble import fleet_trouble
from fleetd.views.status_table import aligned, rows, span


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--watch", action="store_true", help="the live view, as on a terminal by default; needs one")
    group.add_argument("--once", action="store_true", help="one table, as when piped; also on a terminal")
    add_json(parser)
    add_daemon(parser)
    add_fleet(parser, shows="all hosts of the fleet")


def run(args: argparse.Namespace) -> int:
    """Show pools and workers."""
    split_flag(args)
    if args.watch and (args.json or not can_be_live()):
        raise UsageError(f"--watch needs a terminal{_why()}, and goes without --json")
    args.live = args.watch or (not args.json and not args.once and is_live_by_default())
    if is_named(args):
        address = the_fleet(args)
        from fleetd.cli.fleet_status import show_fleet  # noqa: PLC0415 - what a fleet needs is for fleets

        return show_fleet(args, address)
    client = daemon(args)
    if args.live:
        return _live(client, args)
    if args.json:
        print_json(_document(client, args))
    elif sys.stdout.isatty():
        print(_picture(_document(client, args)))
    else:
        print("\n".join(_table(_document(client, args))))
    return ExitCode.DONE


def _why() -> str:
    return " that can show more than lines (TERM is dumb, or not set)" if sys.stdout.isatty() else ""


def _document(client: ControlClient, args: argparse.Namespace) -> Mapping[str, Any]:
    document: Mapping[str, Any] = client.ask("status", {"targets": args.targets})
    return document


def _live(client: ControlClient, args: argparse.Namespace) -> int:
    """A daemon that is not there, or has nothing of what is meant, is told before there is a view."""
    _document(client, args)
    from fleetd.client.host_source import host_source  # noqa: PLC0415 - as above

    return live(host_source(client), args.targets)


def _table(document: Mapping[str, Any]) -> list[str]:
    table = painted(aligned(list(rows(document, time.time())), width()))
    trouble = fleet_trouble(document.get("fleet"))
    return table if trouble is None else [*table, trouble]


def _picture(document: Mapping[str, Any]) -> str:
    title = (
        f"{document['instance']} on {document['host']}: {document['state']}, pid {document['pid']}, "
        f"up {span(time.time() - document['started_at'])}, fleetd {document['version']}"
    )
    return "\n".join([made_visible(title), *_table(document)])
