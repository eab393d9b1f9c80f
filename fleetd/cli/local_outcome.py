"""How a rollout of this host alone ended, in words and as an exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

from fleetd.errors import ExitCode
from fleetd.views.control_characters import made_visible
from fleetd.views.counted import counted


def exit_code_of(roll: Mapping[str, Any]) -> ExitCode:
    """DONE, also for one that is not waited for."""
    return ExitCode.DONE if roll.get("state", "done") in {"done", "running"} else ExitCode.FAILED


def tell_trouble(command: str, roll: Mapping[str, Any], *, now: bool = False) -> None:
    """Why a rollout did not end well, on standard error, with the last lines of the worker that failed.

    `now`: it was one that stops the old workers first, so that none of them goes on.
    """
    if exit_code_of(roll) is ExitCode.DONE:
        return
    done = f"{roll['done']} of {counted(roll['total'], 'worker')} restarted"
    if "trouble" in roll:
        print(f"{command}: {made_visible(roll['trouble'])}", file=sys.stderr)
    elif roll["error"] is None:
        print(f"{command}: {roll['state']}: {done}", file=sys.stderr)
    if roll["error"] is None:
        return
    error: Mapping[str, Any] = roll["error"]
    what = made_visible(f"{error['worker']}: {error['reason']}")
    others = "" if now else ", the others go on as they were"
    if pools := shlex.join(roll.get("behind", ())):
        told = f"halted before, and not tried again: {pools} ({what}); once that is mended: `fleetd restart {pools}`"
    else:
        told = f"{roll['state']}: {what}; {done}{others}"
    print(f"{command}: {told}", file=sys.stderr)
    for line in error["lines"]:
        print(f"  {made_visible(line)}", file=sys.stderr)
