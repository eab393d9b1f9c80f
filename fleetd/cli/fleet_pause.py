"""`fleetd pause` and `fleetd resume` on hosts of a fleet."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_session import in_fleet, tell, warn
from fleetd.cli.waiting import going_on, on_terminal
from fleetd.client import pausing
from fleetd.client.asking import within
from fleetd.client.control import Progress
from fleetd.coordination.port import Coordinator
from fleetd.errors import ExitCode


def pause_fleet(verb: str, args: argparse.Namespace, address: FleetAddress) -> int:
    """Set or lift pauses, and wait until the hosts show it unless --no-wait; `verb` is "pause" or "resume"."""
    command, paused = f"fleetd {verb}", verb == "pause"
    change_it = pausing.pause if paused else pausing.resume
    pending: dict[pausing.Place, None] = {}

    def looking(progress: Progress, total: int) -> Callable[[list[pausing.Place]], None]:
        def look(left: list[pausing.Place]) -> None:
            for place in [place for place in pending if place not in left]:
                del pending[place]
                tell(f"{place}: {'paused' if paused else 'running'}")
            progress(total - len(left), total, str(left[0]) if left else "")

        return look

    async def work(coordinator: Coordinator) -> int:
        began = asyncio.get_running_loop().time()
        asking = change_it(coordinator, args.hosts, args.targets)
        change = await within(args.timeout, asking, "fleetd status --fleet")
        for place, field in change.kept:
            warn(command, f"{place} stays paused: by {field}")
        kept = {place for place, _ in change.kept}
        pending.update(dict.fromkeys(place for place in change.places if place not in kept))
        if not args.no_wait:
            with on_terminal(verb) as progress:
                await pausing.until(
                    coordinator,
                    list(pending),
                    paused=paused,
                    began=began,
                    limit=args.timeout,
                    look=looking(progress, len(pending)),
                    tell=lambda text: warn(command, text),
                )
        return ExitCode.FAILED if kept else ExitCode.DONE

    with going_on(command):
        return in_fleet(address, work)
