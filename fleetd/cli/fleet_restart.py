"""`fleetd restart` of a whole fleet, or of a part of it, from wherever its Redis can be reached."""

from __future__ import annotations

import argparse
import asyncio
import time

from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_progress import shown
from fleetd.cli.fleet_session import in_fleet, tell, warn
from fleetd.cli.requester import requester
from fleetd.cli.waiting import going_on, print_json
from fleetd.client.asking import Wish, ask, within
from fleetd.client.following import Follower, Outcome
from fleetd.client.rollout_document import outcome_document
from fleetd.client.rollout_text import begun, summary, trouble
from fleetd.client.verdict import End
from fleetd.coordination.port import Coordinator, Rollout
from fleetd.errors import ExitCode
from fleetd.views.stragglers import Straggler, stragglers

_COMMAND = "fleetd restart"
_EXIT_CODES = {
    End.DONE: ExitCode.DONE,
    End.SEEN: ExitCode.DONE,
    End.HALTED: ExitCode.FAILED,
    End.MISSING: ExitCode.FAILED,
    End.UNSEEN: ExitCode.TIMED_OUT,
    End.TIMED_OUT: ExitCode.TIMED_OUT,
    End.UNREACHABLE: ExitCode.UNREACHABLE,
}


def restart_fleet(args: argparse.Namespace, address: FleetAddress) -> int:
    """Ask for the restart, and wait until it is over unless --no-wait."""
    restart = _Restart(args)
    with going_on(_COMMAND, restart.whereabouts):
        outcome = in_fleet(address, restart.run)
    left = _left(outcome)
    if args.json:
        print_json(outcome_document(outcome, left))
    _tell(outcome, left, quiet=args.json)
    return _EXIT_CODES[outcome.end]


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


def _left(outcome: Outcome) -> list[Straggler]:
    """The workers that were not replaced in time."""
    if outcome.end is not End.TIMED_OUT:
        return []
    first = outcome.view.rollouts[0]
    documents = {member.name: member.status for member in outcome.members}
    return stragglers(documents, first.intent.scope, first.epoch, time.time(), outcome.view.pending)


def _tell(outcome: Outcome, left: list[Straggler], *, quiet: bool) -> None:
    if outcome.end is End.DONE and not quiet:
        tell(summary(outcome))
    elif outcome.end is End.SEEN and not quiet:
        tell(f"seen; follow it with `fleetd rollouts {outcome.view.newest.epoch}`")
    for line in trouble(outcome, left, time.time()):
        warn(_COMMAND, line)
