"""`fleetd signal`"""

from __future__ import annotations

import argparse
from signal import Signals

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser, add_targets
from fleetd.errors import ExitCode


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument("signal", metavar="SIGNAL", type=name_of, help="USR1, SIGUSR1 or 10")
    add_targets(parser, required=True)
    add_daemon(parser)


def name_of(text: str) -> str:
    """The signal's name without SIG, for argparse."""
    try:
        found = Signals(int(text)) if text.isdecimal() else Signals[f"SIG{text.upper().removeprefix('SIG')}"]
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no signal of this host (write USR1, SIGUSR1 or 10)") from None
    return found.name.removeprefix("SIG")


def run(args: argparse.Namespace) -> int:
    """Send the signal to the main process of each worker."""
    daemon(args).order("signal", {"signal": args.signal, "targets": args.targets})
    return ExitCode.DONE
