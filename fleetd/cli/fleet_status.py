"""`fleetd status --fleet`"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from fleetd.cli.coloured import HOME_AND_CLEAR, painted, width
from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_session import in_fleet
from fleetd.cli.waiting import print_json
from fleetd.client.rollout_text import halted
from fleetd.coordination.port import Coordinator
from fleetd.errors import ExitCode, UnreachableError
from fleetd.views.control_characters import made_visible
from fleetd.views.fleet import HEADER, RIGHT, document, epoch_of, problems, rows
from fleetd.views.status_table import aligned

_REFRESH = 1.0  # seconds between two pictures of --watch


def show_fleet(args: argparse.Namespace, address: FleetAddress) -> int:
    """Show all hosts of the fleet."""

    async def look(coordinator: Coordinator) -> None:
        if args.json:
            print_json(document(address.name, await coordinator.members(), args.targets))
        elif args.watch:
            await _watch(coordinator, address.name, args.targets)
        else:
            print("\n".join(await _picture(coordinator, address.name, args.targets)))

    in_fleet(address, look)
    return ExitCode.DONE


async def _watch(coordinator: Coordinator, fleet: str, targets: Sequence[str]) -> None:
    """Until it is interrupted; a Redis that is away for a while ends nothing."""
    shown, notice = await _picture(coordinator, fleet, targets), ""
    while True:
        print(HOME_AND_CLEAR + "\n".join([*shown, notice]), flush=True)
        await asyncio.sleep(_REFRESH)
        try:
            shown, notice = await _picture(coordinator, fleet, targets), ""
        except UnreachableError as error:
            notice = made_visible(f"{error}; this is what was seen last")


async def _picture(coordinator: Coordinator, fleet: str, targets: Sequence[str]) -> list[str]:
    members, rollouts = await coordinator.members(), await coordinator.rollouts()
    now = time.time()
    table = painted(aligned(rows(members, now, targets), width(), HEADER, RIGHT))
    found = [*map(made_visible, halted(rollouts)), *problems(members, now, targets)]
    live, epoch = sum(member.is_live for member in members), epoch_of(members)
    title = f"fleet {fleet}: {live} of {len(members)} members live, epoch {'none' if epoch is None else epoch}"
    return [title, *table, *(["", "problems:"] if found else []), *(f"  {line}" for line in found)]
