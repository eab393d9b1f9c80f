"""`fleetd rollouts`"""

from __future__ import annotations

import argparse

from fleetd.cli.finding import add_daemon
from fleetd.cli.fleet_of import add_fleet, the_fleet
from fleetd.cli.parser import Parser, add_json
from fleetd.cli.waiting import add_waiting
from fleetd.errors import ExitCode, UsageError


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument("epoch", metavar="EPOCH", nargs="?", type=_epoch, help="the one that is meant, in detail")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--halt", action="store_true", help="no further worker is replaced (the newest, without EPOCH)")
    how.add_argument(
        "--resume", action="store_true", help="have a halted one go on, and wait for it (the newest, without EPOCH)"
    )
    add_waiting(parser)
    add_json(parser)
    add_daemon(parser)
    add_fleet(parser)


def _epoch(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):  # noqa: PLR2004 - the digits of 2**53
        raise argparse.ArgumentTypeError(f"{text!r} is no epoch; `fleetd rollouts` lists them")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Show the fleet's restarts, or steer one."""
    if not args.resume and (args.no_wait or args.timeout is not None):
        raise UsageError("--no-wait and --timeout need --resume: nothing else waits")
    address = the_fleet(args)
    from fleetd.cli.fleet_rollouts import halt, list_rollouts, resume, show_rollout  # noqa: PLC0415 - for fleets

    if args.resume:
        return resume(args, address)
    if args.halt:
        halt(args, address)
    elif args.epoch is not None:
        show_rollout(args, address)
    else:
        list_rollouts(args, address)
    return ExitCode.DONE
