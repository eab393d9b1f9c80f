"""`fleetd scale`"""

from __future__ import annotations

import argparse
import re

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser
from fleetd.cli.waiting import add_waiting, carry_out
from fleetd.errors import ExitCode

_CHANGE = re.compile(r"([^=]+)=([+-]?)(\d{1,6})", re.ASCII)


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument(
        "changes",
        metavar="POOL=N",
        nargs="+",
        type=change,
        help="the number of workers from now on; POOL=+N and POOL=-N are relative",
    )
    add_waiting(parser)
    add_daemon(parser)


def change(text: str) -> tuple[str, str, int]:
    """A pool, how ("=", "+" or "-") and how many, for argparse."""
    match = _CHANGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not POOL=N, POOL=+N or POOL=-N")
    return match[1], match[2] or "=", int(match[3])


def run(args: argparse.Namespace) -> int:
    """Change how many workers pools have, until their files' numprocs change."""
    request = {"changes": args.changes, "wait": not args.no_wait}
    carry_out(daemon(args), "scale", request, title="scale", timeout=args.timeout)
    return ExitCode.DONE
