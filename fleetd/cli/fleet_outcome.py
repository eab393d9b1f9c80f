"""How following a rollout of a fleet ended, told: on standard output, on standard error, and as an exit code."""

from __future__ import annotations

import time

from fleetd.cli.fleet_session import tell, warn
from fleetd.cli.waiting import print_json
from fleetd.client.following import Outcome
from fleetd.client.rollout_document import outcome_document
from fleetd.client.rollout_text import summary, trouble
from fleetd.client.verdict import End
from fleetd.errors import ExitCode
from fleetd.views.stragglers import Straggler, stragglers

_EXIT_CODES = {
    End.DONE: ExitCode.DONE,
    End.SEEN: ExitCode.DONE,
    End.HALTED: ExitCode.FAILED,
    End.MISSING: ExitCode.FAILED,
    End.UNSEEN: ExitCode.TIMED_OUT,
    End.TIMED_OUT: ExitCode.TIMED_OUT,
    End.UNREACHABLE: ExitCode.UNREACHABLE,
}


def reported(command: str, outcome: Outcome, *, as_json: bool) -> ExitCode:
    """Tell what became of it; answers the exit code."""
    left = _left(outcome)
    if as_json:
        print_json(outcome_document(outcome, left))
    _tell(command, outcome, left, quiet=as_json)
    return _EXIT_CODES[outcome.end]


def _left(outcome: Outcome) -> list[Straggler]:
    """The workers that were not replaced in time."""
    if outcome.end is not End.TIMED_OUT:
        return []
    first = outcome.view.rollouts[0]
    documents = {member.name: member.status for member in outcome.members}
    return stragglers(documents, first.intent.scope, first.epoch, time.time(), outcome.view.pending)


def _tell(command: str, outcome: Outcome, left: list[Straggler], *, quiet: bool) -> None:
    if outcome.end is End.DONE and not quiet:
        tell(summary(outcome))
    elif outcome.end is End.SEEN and not quiet:
        tell(f"seen; follow it with `fleetd rollouts {outcome.view.newest.epoch}`")
    for line in trouble(outcome, left, time.time()):
        warn(command, line)
