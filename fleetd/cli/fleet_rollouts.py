"""`fleetd rollouts`: what is shown of them, and how one is steered."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fleetd.cli.coloured import painted, width
from fleetd.cli.fleet_of import FleetAddress
from fleetd.cli.fleet_session import in_fleet, tell
from fleetd.cli.requester import requester
from fleetd.cli.waiting import print_json
from fleetd.client import rollout_text
from fleetd.client.rollout_document import rollout_document
from fleetd.coordination.port import Coordinator, Rollout, RolloutState
from fleetd.errors import FleetdError, NotFoundError
from fleetd.views.control_characters import made_visible
from fleetd.views.status_table import Row, aligned


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


def steer(args: argparse.Namespace, address: FleetAddress) -> None:
    """Halt one, or have it go on; what is so already is left.

    Raises NotFoundError where there is none, FleetdError for one that is over.
    """

    async def work(coordinator: Coordinator) -> Rollout:
        epoch = args.epoch
        if epoch is None:
            epoch = _newest(await coordinator.rollouts(), halt=args.halt).epoch
        change = coordinator.halt if args.halt else coordinator.resume
        after = await change(epoch, requester())
        return await _found(coordinator, epoch) if after is None else after

    after = in_fleet(address, work)
    wanted = RolloutState.HALTED if args.halt else RolloutState.RUNNING
    if after.state is not wanted:
        raise FleetdError(f"rollout {after.epoch} is {after.state}: nothing was changed")
    _show(after, as_json=args.json)


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
