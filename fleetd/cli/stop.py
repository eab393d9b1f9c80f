"""`fleetd stop`"""

from __future__ import annotations

import argparse

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser, add_targets
from fleetd.cli.waiting import add_waiting, carry_out
from fleetd.client.control import HungUpError
from fleetd.errors import ExitCode, NotFoundError


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    parser.add_argument("--now", action="store_true", help="do not wait for jobs: stop signal, then SIGKILL")
    add_waiting(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Stop pools or workers; without any, drain everything and wait until the daemon has ended."""
    client = daemon(args)
    request = {"targets": args.targets, "now": args.now, "wait": not args.no_wait, "shutdown": not args.targets}
    ended = None if args.targets or args.no_wait else client.until_gone(args.timeout)
    try:
        carry_out(client, "stop", request, title="stop", timeout=args.timeout)
    except (HungUpError, NotFoundError):  # it has ended meanwhile
        if ended is None:
            raise
    if ended is not None:
        ended()
    return ExitCode.DONE
