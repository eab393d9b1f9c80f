"""`fleetd rollouts`: what is shown of them, and how one is steered."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from fleetd.cli.coloured import painted, width
from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_outcome import reported
from fleetd.cli.fleet_progress import shown
from fleetd.cli.fleet_session import in_fleet, tell
from fleetd.cli.requester import requester
from fleetd.cli.waiting import going_on, print_json
from fleetd.client import rollout_text
from fleetd.client.asking import within
from fleetd.client.following import Follower, Outcome
from fleetd.client.rollout_document import rollout_document
from fleetd.coordination.port import Coordinator, Rollout, RolloutState
from fleetd.errors import ExitCode, FleetdError, NotFoundError
from fleetd.views.control_characters import made_visible
from fleetd.views.status_table import Row, aligned

_COMMAND = "fleetd rollouts"


def list_rollouts(args: argparse.Namespace, address: FleetAddress) -> None:
    """The last ones, newest first."""
    rollouts = in_fleet(address, lambda coordinator: coordinator.rollouts())
    if args.json:
        print_json({"schema": 1, "fleet": address.name, "rollouts": [rollout_document(each) for each in rollouts]})
    elif rollouts:
        _print_table(rollout_text.rows(rollouts), rollout_text.HEADER)
    else:
        tell(f"no restart of fleet {address.name} yet")


def show_rollout(args: argparse.Namespace, address: FleetAddress) -> None:
    """One in detail.  Raises NotFoundError where it is not kept."""
    _show(in_fleet(address, lambda coordinator: _found(coordinator, args.epoch)), as_json=args.json)


def halt(args: argparse.Namespace, address: FleetAddress) -> None:
    """Halt one; one that is halted is left.

    Raises NotFoundError where there is none, FleetdError for one that is over.
    """
    _show(
        in_fleet(address, lambda coordinator: _steered(coordinator, args.epoch, RolloutState.HALTED)), as_json=args.json
    )


def resume(args: argparse.Namespace, address: FleetAddress) -> int:
    """Have a halted one go on, and wait until it is over unless --no-wait; one that runs is only waited for.

    Raises as `halt` does.
    """
    going_on_with: list[int] = []

    async def work(coordinator: Coordinator) -> Rollout | Outcome:
        began = asyncio.get_running_loop().time()
        steering = _steered(coordinator, args.epoch, RolloutState.RUNNING)
        rollout = await within(args.timeout, steering, "fleetd rollouts")
        going_on_with.append(rollout.epoch)
        if args.no_wait:
            return rollout
        if not args.json:
            tell(rollout_text.going_on(rollout))
        with shown(_COMMAND, quiet=args.json) as audience:
            return await Follower(coordinator, rollout, audience, began).until_over(args.timeout)

    def whereabouts() -> str:
        which = f" {going_on_with[0]}" if going_on_with else ""
        return f"the work itself goes on: follow it with `fleetd rollouts{which}`"

    with going_on(_COMMAND, whereabouts):
        after = in_fleet(address, work)
    if isinstance(after, Outcome):
        return reported(_COMMAND, after, as_json=args.json)
    _show(after, as_json=args.json)
    return ExitCode.DONE


async def _steered(coordinator: Coordinator, epoch: int | None, wanted: RolloutState) -> Rollout:
    """The rollout, the newest that can be where none is named, once it is as wanted."""
    halt_it = wanted is RolloutState.HALTED
    if epoch is None:
        epoch = _newest(await coordinator.rollouts(), halt=halt_it).epoch
    change = coordinator.halt if halt_it else coordinator.resume
    after = await change(epoch, requester()) or await _found(coordinator, epoch)
    if after.state is not wanted:
        raise FleetdError(f"rollout {after.epoch} is {after.state}: nothing was changed")
    return after


def _newest(rollouts: Sequence[Rollout], *, halt: bool) -> Rollout:
    wanted = RolloutState.RUNNING if halt else RolloutState.HALTED
    for rollout in rollouts:
        if rollout.state is wanted:
            return rollout
    raise NotFoundError(f"no rollout is {wanted}; `fleetd rollouts` lists the last ones")


async def _found(coordinator: Coordinator, epoch: int) -> Rollout:
    rollout = await coordinator.rollout(epoch)
    if rollout is None:
        raise NotFoundError(_unknown(epoch, await coordinator.rollouts()))
    return rollout


def _unknown(epoch: int, rollouts: Sequence[Rollout]) -> str:
    known = f"the last one is {rollouts[0].epoch}" if rollouts else "there was none yet"
    return f"no rollout {epoch} is known; {known}"


def _show(rollout: Rollout, *, as_json: bool) -> None:
    if as_json:
        print_json(rollout_document(rollout))
        return
    for line in rollout_text.detail(rollout):
        tell(line)
    if rollout.hosts:
        _print_table(rollout_text.host_rows(rollout), rollout_text.HOST_HEADER)
    for line in rollout_text.errors(rollout):
        tell(line)


def _print_table(rows: Sequence[Row], header: tuple[str, ...]) -> None:
    safe = [Row(tuple(made_visible(cell) for cell in row.cells), row.tone) for row in rows]
    print("\n".join(painted(aligned(safe, width(), header, frozenset()))))
