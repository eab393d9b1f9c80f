"""--host H on a host that is in no fleet: it may only name this one."""

from __future__ import annotations

from collections.abc import Sequence

from fleetd.cli.parser import Parser
from fleetd.client.control import ControlClient
from fleetd.errors import UsageError


def add_host(parser: Parser) -> None:
    """--host H, which may be repeated."""
    parser.add_argument("--host", metavar="H", dest="hosts", action="append", default=[], help="only on this host")


def check_host(client: ControlClient, hosts: Sequence[str]) -> None:
    """Raise UsageError for a host that is not the daemon's own."""
    if not hosts:
        return
    own = client.call("status", {"targets": []})["host"]
    for host in hosts:
        if host != own:
            raise UsageError(f"--host {host}: hosts other than this one ({own}) are not yet in this version")
