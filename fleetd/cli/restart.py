"""`fleetd restart`"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.fleet_of import add_fleet, find_fleet, is_named
from fleetd.cli.host import add_host, check_host
from fleetd.cli.local_outcome import exit_code_of, tell_trouble
from fleetd.cli.parser import Parser, add_json, add_targets
from fleetd.cli.waiting import add_waiting, carry_out, print_json
from fleetd.config.durations import format_duration
from fleetd.errors import UsageError
from fleetd.views.counted import counted
from fleetd.views.label import checked_label

if TYPE_CHECKING:
    from fleetd.core.spec import Amount

_ALL = 100  # per cent


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--graceful", action="store_true", help="replacements first, jobs finish (the default)")
    how.add_argument("--now", action="store_true", help="stop signal, SIGKILL after 5 s, no replacement first")
    add_host(parser)
    parser.add_argument("--local", action="store_true", help="this host only, whatever fleet it is in")
    parser.add_argument(
        "--label",
        metavar="TEXT",
        type=checked_label,
        help="what the restart is for, one line of at most 200 characters; shown in events and rollouts",
    )
    parser.add_argument(
        "--max-parallel-hosts",
        metavar="N",
        type=_amount,
        help="how many hosts may roll at once, a count or a share; the strictest live one decides else",
    )
    add_waiting(parser)
    add_json(parser)
    add_daemon(parser)
    add_fleet(parser)


def run(args: argparse.Namespace) -> int:
    """Roll workers onto new code and wait until they run it: in the whole fleet, where there is one."""
    if args.local and is_named(args):
        raise UsageError("--local is for this host alone: leave out --redis and --fleet, or --local")
    address = None if args.local else find_fleet(args)
    if address is None:
        return _restart_here(args)
    from fleetd.cli.fleet_restart import restart_fleet  # noqa: PLC0415 - what a fleet needs is for fleets

    return restart_fleet(args, address)


def _restart_here(args: argparse.Namespace) -> int:
    if args.max_parallel_hosts is not None:
        raise UsageError("--max-parallel-hosts needs a fleet: there is none, or --local leaves it out")
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
        tell_trouble("fleetd restart", roll, now=args.now)
        if roll["state"] == "done":
            _tell(roll)
    return exit_code_of(roll)


def _amount(text: str) -> Amount:
    """A count of hosts or a share of them, for argparse."""
    from fleetd.core.spec import Amount  # noqa: PLC0415 - a command without it starts faster so

    match = re.fullmatch(r"([0-9]{1,6})(%?)", text)
    number = int(match[1]) if match else 0
    if match is None or number < 1 or (match[2] and number > _ALL):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a count from 1 on nor a share such as 25%")
    return Amount(share=number / _ALL) if match[2] else Amount(number)


def _tell(roll: Mapping[str, Any]) -> None:
    took, drain = (format_duration(round(seconds)) for seconds in (roll["duration"], roll["longest_drain"] or 0))
    print(f"{counted(roll['done'], 'worker')} restarted in {took}, longest drain {drain}")
