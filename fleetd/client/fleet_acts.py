"""What a live view may ask of a fleet, each through its Coordinator, and without waiting for the hosts."""

from __future__ import annotations

from fleetd.client import pausing
from fleetd.client.asking import Wish, ask, patiently
from fleetd.coordination.port import Coordinator, Rollout, RolloutState
from fleetd.errors import FleetdError, NotFoundError, UsageError
from fleetd.views.picture import Request, Verb

CAN = frozenset({Verb.RESTART, Verb.RESTART_NOW, Verb.PAUSE, Verb.RESUME, Verb.HALT, Verb.GO_ON})
_MODES = {Verb.RESTART: "graceful", Verb.RESTART_NOW: "now"}


async def carry_out(coordinator: Coordinator, request: Request, who: str) -> str:
    """Ask for it; answers what came of that, in one line.  Raises FleetdError."""
    if request.verb in _MODES:
        return await _restart(coordinator, request, who)
    if request.verb in {Verb.PAUSE, Verb.RESUME}:
        return await _pause(coordinator, request)
    if request.verb in {Verb.HALT, Verb.GO_ON}:
        return await _steer(coordinator, request, who)
    raise UsageError(f"{request.verb} is for one host: look at its daemon there, with `fleetd status`")


async def _restart(coordinator: Coordinator, request: Request, who: str) -> str:
    wish = Wish(who=who, targets=request.targets, hosts=_hosts(request), mode=_MODES[request.verb])
    rollout = await ask(coordinator, wish)
    now = ", now" if request.verb is Verb.RESTART_NOW else ""
    return f"restart of {_what(request)} asked for{now}: epoch {rollout.epoch}, {len(rollout.hosts)} host(s)"


async def _pause(coordinator: Coordinator, request: Request) -> str:
    if request.verb is Verb.PAUSE:
        change = await pausing.pause(coordinator, _hosts(request), request.targets)
        return f"pause of {_what(request)} asked for: {len(change.places)} pool(s)"
    change = await pausing.resume(coordinator, _hosts(request), request.targets)
    kept = f"; {change.kept[0][0]} stays paused by {change.kept[0][1]}" if change.kept else ""
    return f"resume of {_what(request)} asked for: {len(change.places)} pool(s){kept}"


async def _steer(coordinator: Coordinator, request: Request, who: str) -> str:
    epoch, halt = request.epoch, request.verb is Verb.HALT
    if epoch is None:
        raise UsageError(f"{request.verb} which rollout? choose one")
    change, wanted = (coordinator.halt, RolloutState.HALTED) if halt else (coordinator.resume, RolloutState.RUNNING)

    async def step() -> Rollout | None:
        return await change(epoch, who)

    after = await patiently(step)
    if after is None:
        raise NotFoundError(f"no rollout {epoch} is known any more")
    if after.state is not wanted:
        raise FleetdError(f"rollout {epoch} is {after.state}: nothing was changed")
    return f"rollout {epoch} halted: no further worker is replaced" if halt else f"rollout {epoch} goes on"


def _hosts(request: Request) -> tuple[str, ...]:
    return () if request.host is None else (request.host,)


def _what(request: Request) -> str:
    what = ", ".join(request.targets) or "everything"
    return what if request.host is None else f"{what} on {request.host}"
