"""`fleetd start`: with TARGET in a running daemon, without it the daemon itself."""

from __future__ import annotations

import argparse

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser, add_targets
from fleetd.cli.waiting import add_waiting, carry_out
from fleetd.errors import ExitCode, UsageError
from fleetd.shell.start_signals import hold_signals


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    parser.add_argument(
        "--detach", action="store_true", help="run in the background; return once every pool is healthy"
    )
    parser.add_argument(
        "--view", action="store_true", help="in the foreground, the live view in place of the log; leaving it drains"
    )
    add_waiting(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Start what was stopped, or be the daemon until it is stopped."""
    if args.targets:
        if args.detach or args.view:
            which = "--detach" if args.detach else "--view"
            raise UsageError(f"{which} is for the daemon: leave out TARGET, or {which}")
        request = {"targets": args.targets, "wait": not args.no_wait}
        carry_out(daemon(args), "start", request, title="start", timeout=args.timeout)
        return ExitCode.DONE
    if args.view and args.detach:
        raise UsageError("--view is for the foreground: leave it out, or --detach; `fleetd status` shows the same view")
    if not args.files:
        raise UsageError("give -c FILE to run a daemon, or TARGET to start what was stopped in a running one")
    if not args.detach and (args.no_wait or args.timeout is not None):
        raise UsageError("--no-wait and --timeout need --detach or TARGET: the daemon runs in the foreground")
    if not args.detach and not args.view:
        hold_signals()
    from fleetd.cli.launch import run_daemon  # noqa: PLC0415 - the daemon's own modules are for it alone

    return run_daemon(args)
