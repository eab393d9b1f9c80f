"""One conversation of a command with a fleet."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fleetd.cli.fleet_of import FleetAddress
from fleetd.coordination.opening import open_fleet
from fleetd.coordination.port import Coordinator
from fleetd.views.control_characters import made_visible

T = TypeVar("T")


def in_fleet(address: FleetAddress, work: Callable[[Coordinator], Awaitable[T]]) -> T:
    """What `work` makes of the fleet."""

    async def whole() -> T:
        coordinator = open_fleet(address.url, address.name)
        try:
            return await work(coordinator)
        finally:
            await coordinator.close()

    return asyncio.run(whole())


def tell(text: str) -> None:
    """One line on standard output; nothing that came from Redis moves a cursor."""
    print(made_visible(text), flush=True)


def warn(command: str, text: str) -> None:
    """One line on standard error."""
    print(f"{command}: {made_visible(text)}", file=sys.stderr, flush=True)
