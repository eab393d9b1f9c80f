"""What a live view may ask of one daemon: each request as a verb of the control socket that does not wait."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fleetd.client.control import ControlClient
from fleetd.errors import UsageError
from fleetd.views.picture import Request, Verb

_WITHIN = 15.0  # seconds for an answer
_DONE = {
    Verb.RESTART: "restart of {} begun",
    Verb.RESTART_NOW: "restart of {} begun, jobs in hand are not waited for",
    Verb.PAUSE: "{} paused: no new jobs",
    Verb.RESUME: "{} resumed",
    Verb.STOP: "stop of {} begun: jobs in hand finish",
    Verb.START: "start of {} begun",
}
CAN = frozenset({*_DONE, Verb.SCALE})


def carry_out(client: ControlClient, request: Request) -> str:
    """Have the daemon begin it; answers what came of that, in one line.  Raises as `ControlClient.order`."""
    what = ", ".join(request.targets) or "everything"
    if request.verb is Verb.SCALE:
        answer = _call(client, "scale", changes=_changes(request))
        return ", ".join(f"{pool} scaled to {count}" for pool, count in answer["pools"].items())
    if request.verb not in CAN:
        raise UsageError(f"{request.verb}: a daemon alone has no rollouts of a fleet; look at the fleet (--fleet)")
    verb = "restart" if request.verb is Verb.RESTART_NOW else str(request.verb)
    args: dict[str, Any] = {"now": True} if request.verb is Verb.RESTART_NOW else {}
    _call(client, verb, targets=list(request.targets or ["*"]), **args)
    return _DONE[request.verb].format(what)


def _call(client: ControlClient, verb: str, **args: Any) -> Any:
    return client.order(verb, {**args, "wait": False}, timeout=_WITHIN)


def _changes(request: Request) -> Sequence[tuple[str, str, int]]:
    found = re.fullmatch(r"([+-]?)([0-9]{1,6})", request.change or "", re.ASCII)
    if found is None:
        raise UsageError(f"{request.change!r} is no number of workers: write 3, +1 or -1")
    if not request.targets:
        raise UsageError("scale which pool? choose one")
    return [(pool, found[1] or "=", int(found[2])) for pool in request.targets]
