"""`fleetd upgrade`"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.last_words import last_words
from fleetd.cli.parser import Parser, add_json
from fleetd.cli.waiting import add_timeout, carry_out, print_json
from fleetd.client.control import HungUpError
from fleetd.errors import ExitCode, FleetdError


def define(parser: Parser) -> None:
    """The arguments."""
    add_timeout(parser)
    add_json(parser)
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Have the daemon replace itself by what is installed now, and wait until every pool is healthy under it."""
    client = daemon(args)
    log = client.ask("ping").get("log")
    begin = _size(log)
    try:
        done = carry_out(client, "upgrade", {}, title="upgrade", quiet=args.json, timeout=args.timeout)
    except HungUpError:
        raise FleetdError(_ended(args, log, begin)) from None
    if args.json:
        print_json(done)
    else:
        _tell(done)
    return ExitCode.DONE


def _tell(done: Mapping[str, Any]) -> None:
    same = "; that is the same version, started anew" if done["from"] == done["to"] else ""
    print(f"upgraded {done['from']} -> {done['to']} (pid {done['pid']}){same}")


def _size(log: str | None) -> int:
    try:
        return 0 if log is None else Path(log).stat().st_size
    except OSError:
        return 0


def _ended(args: argparse.Namespace, log: str | None, begin: int) -> str:
    files = " ".join(f"-c {shlex.quote(str(file))}" for file in args.files) or "-c FILE"
    remedy = f"its workers go on under the keeper: run `fleetd start {files}`, unless a service manager does so"
    words = "; its log says why" if log is None else f"\n{last_words(Path(log), begin)}"
    return f"the daemon ended while it was replaced; {remedy}{words}"
