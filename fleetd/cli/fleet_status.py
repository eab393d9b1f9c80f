"""`fleetd status --fleet`"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from fleetd.cli.coloured import painted, width
from fleetd.cli.finding import beside
from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_session import in_fleet
from fleetd.cli.requester import requester
from fleetd.cli.waiting import print_json
from fleetd.client.rollout_text import halted
from fleetd.coordination.port import Coordinator
from fleetd.errors import ExitCode
from fleetd.views.control_characters import made_visible
from fleetd.views.fleet import HEADER, RIGHT, document, epoch_of, problems, rows
from fleetd.views.status_table import aligned


def show_fleet(args: argparse.Namespace, address: FleetAddress) -> int:
    """Show all hosts of the fleet."""

    async def look(coordinator: Coordinator) -> int:
        if args.live:
            return await _live(coordinator, address, args.targets)
        if args.json:
            print_json(document(address.name, await coordinator.members(), args.targets))
        else:
            print("\n".join(await _picture(coordinator, address.name, args.targets)))
        return ExitCode.DONE

    return in_fleet(address, look)


async def _live(coordinator: Coordinator, address: FleetAddress, targets: Sequence[str]) -> int:
    """A Redis that is out of reach, or a fleet without what is meant, is told before there is a view."""
    await _picture(coordinator, address.name, targets)
    from fleetd.cli.live import watch  # noqa: PLC0415 - what draws is for the live view only
    from fleetd.client.fleet_source import fleet_source  # noqa: PLC0415

    return await watch(fleet_source(coordinator, address.name, requester(), beside), targets)


async def _picture(coordinator: Coordinator, fleet: str, targets: Sequence[str]) -> list[str]:
    members, rollouts = await coordinator.members(), await coordinator.rollouts()
    now = time.time()
    table = painted(aligned(rows(members, now, targets), width(), HEADER, RIGHT))
    found = [*map(made_visible, halted(rollouts)), *problems(members, now, targets)]
    live, epoch = sum(member.is_live for member in members), epoch_of(members)
    title = f"fleet {fleet}: {live} of {len(members)} members live, epoch {'none' if epoch is None else epoch}"
    return [title, *table, *(["", "problems:"] if found else []), *(f"  {line}" for line in found)]
