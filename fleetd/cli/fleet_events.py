"""`fleetd events --fleet`"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_session import in_fleet, warn
from fleetd.cli.waiting import print_json
from fleetd.client.fleet_events import fleet_events
from fleetd.client.rollout_text import when
from fleetd.coordination.port import Coordinator
from fleetd.errors import UsageError
from fleetd.views.control_characters import made_visible


def print_events(args: argparse.Namespace, address: FleetAddress) -> None:
    """Print what happened on all hosts, oldest first."""
    if args.n < 0:
        raise UsageError(f"-n {args.n}: give 0 or more")

    async def work(coordinator: Coordinator) -> None:
        def tell(text: str) -> None:
            warn("fleetd events", text)

        async for event in fleet_events(coordinator, args.n, follow=args.follow, tell=tell):
            if args.json:
                print_json(event)
            else:
                print(_line(event))
            if args.follow:
                sys.stdout.flush()

    in_fleet(address, work)


def _line(event: Mapping[str, Any]) -> str:
    """An event for people, with where it happened; whatever stood in Redis."""
    where = f"{event.get('host') or '?'}/{event.get('instance') or '?'}"
    at = event.get("at")
    stamp = when(at) if isinstance(at, int | float) else "-"
    return made_visible(f"{stamp} {where} {event.get('kind', '?')} {event.get('text', '')}")
