"""--host H, and what it may name where there is no fleet: this host."""

from __future__ import annotations

from collections.abc import Sequence

from fleetd.cli.parser import Parser
from fleetd.client.control import ControlClient
from fleetd.errors import UsageError


def add_host(parser: Parser) -> None:
    """--host H, which may be repeated."""
    parser.add_argument("--host", metavar="H", dest="hosts", action="append", default=[], help="only on that host")


def check_host(client: ControlClient, hosts: Sequence[str]) -> None:
    """Raise UsageError for a host that is not the daemon's own."""
    if not hosts:
        return
    own = client.ask("status", {"targets": []})["host"]
    for host in hosts:
        if host != own:
            raise UsageError(f"--host {host}: this host is {own}, and its daemon is in no fleet")
