"""`fleetd restart` of a whole fleet, or of a part of it, from wherever its Redis can be reached."""

from __future__ import annotations

import argparse
import asyncio

from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_outcome import reported
from fleetd.cli.fleet_progress import shown
from fleetd.cli.fleet_session import in_fleet, tell
from fleetd.cli.requester import requester
from fleetd.cli.waiting import going_on
from fleetd.client.asking import Wish, ask, within
from fleetd.client.following import Follower, Outcome
from fleetd.client.rollout_text import begun
from fleetd.coordination.port import Coordinator, Rollout

_COMMAND = "fleetd restart"


def restart_fleet(args: argparse.Namespace, address: FleetAddress) -> int:
    """Ask for the restart, and wait until it is over unless --no-wait."""
    restart = _Restart(args)
    with going_on(_COMMAND, restart.whereabouts):
        outcome = in_fleet(address, restart.run)
    return reported(_COMMAND, outcome, as_json=args.json)


class _Restart:
    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._rollout: Rollout | None = None

    async def run(self, coordinator: Coordinator) -> Outcome:
        args, began = self._args, asyncio.get_running_loop().time()
        wish = Wish(
            who=requester(),
            targets=tuple(args.targets),
            hosts=tuple(args.hosts),
            label=args.label,
            mode="now" if args.now else "graceful",
            max_parallel_hosts=args.max_parallel_hosts,
        )
        self._rollout = rollout = await within(args.timeout, ask(coordinator, wish), "fleetd rollouts")
        if not args.json:
            tell(begun(rollout))
        with shown(_COMMAND, quiet=args.json or args.no_wait) as audience:
            follower = Follower(coordinator, rollout, audience, began)
            return await (follower.until_seen(args.timeout) if args.no_wait else follower.until_over(args.timeout))

    def whereabouts(self) -> str:
        if self._rollout is None:
            return "if it was asked for already, the work itself goes on: see `fleetd rollouts`"
        return f"the work itself goes on: follow it with `fleetd rollouts {self._rollout.epoch}`"
