"""`fleetd pause`"""

from __future__ import annotations

import argparse

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.fleet_of import add_fleet, find_fleet, is_named
from fleetd.cli.host import add_host, check_host
from fleetd.cli.parser import Parser, add_targets
from fleetd.cli.waiting import add_waiting, carry_out
from fleetd.errors import ExitCode


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    add_host(parser)
    add_waiting(parser)
    add_daemon(parser)
    add_fleet(parser)


def run(args: argparse.Namespace) -> int:
    """Take no new jobs: here, or on hosts of a fleet where --host or --redis and --fleet say so."""
    address = find_fleet(args) if args.hosts or is_named(args) else None
    if address is not None:
        from fleetd.cli.fleet_pause import pause_fleet  # noqa: PLC0415 - what a fleet needs is for fleets

        return pause_fleet("pause", args, address)
    client = daemon(args)
    check_host(client, args.hosts)
    request = {"targets": args.targets, "wait": not args.no_wait}
    carry_out(client, "pause", request, title="pause", timeout=args.timeout)
    return ExitCode.DONE
