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


def tell_trouble(command: str, roll: Mapping[str, Any], *, now: bool = False, named: str = "") -> None:
    """Why a rollout did not end well, on standard error, with the last lines of the worker that failed.

    `now`: it was one that stops the old workers first, so that none of them goes on.  `named`: the words with which
    other commands find the daemon.
    """
    if exit_code_of(roll) is ExitCode.DONE:
        return
    done = f"{roll['done']} of {counted(roll['total'], 'worker')} restarted"
    if "trouble" in roll:
        print(f"{command}: {made_visible(roll['trouble'])}", file=sys.stderr)
    elif roll["error"] is None:
        print(f"{command}: {roll['state']}: {done}", file=sys.stderr)
    if behind := roll.get("behind"):
        for halted in behind:
            pools = shlex.join(halted["pools"])
            again = " ".join(filter(None, ("fleetd restart --local", named, pools)))
            _tell(f"{command}: halted before, and not tried again: {pools}", halted["error"], f"`{again}` goes on")
    elif roll["error"] is not None:
        others = "" if now else ", the others go on as they were"
        _tell(f"{command}: {roll['state']}", roll["error"], f"{done}{others}")


def _tell(what: str, error: Mapping[str, Any] | None, then: str) -> None:
    if error is None:
        print(f"{what}; {then}", file=sys.stderr)
        return
    print(f"{what}: {made_visible(error['worker'])}: {made_visible(error['reason'])}; {then}", file=sys.stderr)
    for line in error["lines"]:
        print(f"  {made_visible(line)}", file=sys.stderr)
