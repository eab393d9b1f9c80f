"""`fleetd status`"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.later import not_yet
from fleetd.cli.parser import Parser, add_json, add_targets
from fleetd.cli.waiting import print_json
from fleetd.client.control import ControlClient
from fleetd.errors import ExitCode, UsageError
from fleetd.views.control_characters import made_visible
from fleetd.views.status_table import Tone, aligned, rows, span

_REFRESH = 1.0  # seconds between two pictures of --watch
# Select Graphic Rendition (ECMA-48, 8.3.117).
_COLOURS: Mapping[Tone, str] = {Tone.GOOD: "32", Tone.BUSY: "36", Tone.WORRYING: "33", Tone.BAD: "31"}
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    parser.add_argument("--fleet", action="store_true", help="all hosts of the fleet")
    parser.add_argument("--watch", action="store_true", help="show it anew every second, on a terminal")
    add_json(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Show pools and workers."""
    if args.fleet:
        raise not_yet("--fleet")
    if args.watch and (args.json or not sys.stdout.isatty()):
        raise UsageError("--watch needs a terminal, and goes without --json")
    client = daemon(args)
    if args.json:
        print_json(_document(client, args))
    elif args.watch:
        _watch(client, args)
    elif sys.stdout.isatty():
        print(_picture(_document(client, args)))
    else:
        print("\n".join(f"{before}{state}{after}" for before, state, after, _ in _lines(_document(client, args), None)))
    return ExitCode.DONE


def _document(client: ControlClient, args: argparse.Namespace) -> Mapping[str, Any]:
    document: Mapping[str, Any] = client.call("status", {"targets": args.targets})
    return document


def _watch(client: ControlClient, args: argparse.Namespace) -> None:
    while True:
        print(f"{_HOME_AND_CLEAR}{_picture(_document(client, args))}", flush=True)
        time.sleep(_REFRESH)


def _lines(document: Mapping[str, Any], width: int | None) -> list[tuple[str, str, str, Tone]]:
    return aligned(list(rows(document, time.time())), width)


def _picture(document: Mapping[str, Any]) -> str:
    coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    title = (
        f"{document['instance']} on {document['host']}: {document['state']}, pid {document['pid']}, "
        f"up {span(time.time() - document['started_at'])}, fleetd {document['version']}"
    )
    pictured = [made_visible(title)]
    for before, state, after, tone in _lines(document, shutil.get_terminal_size().columns):
        if coloured and tone in _COLOURS:
            state = f"\x1b[{_COLOURS[tone]}m{state}\x1b[0m"  # noqa: PLW2901
        pictured.append(f"{before}{state}{after}")
    return "\n".join(pictured)
