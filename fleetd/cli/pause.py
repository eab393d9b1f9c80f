"""`fleetd pause`"""

from __future__ import annotations

import argparse

from fleetd.cli.finding import add_daemon, daemon
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


def run(args: argparse.Namespace) -> int:
    """Take no new jobs."""
    client = daemon(args)
    check_host(client, args.hosts)
    request = {"targets": args.targets, "wait": not args.no_wait}
    carry_out(client, "pause", request, title="pause", timeout=args.timeout)
    return ExitCode.DONE
