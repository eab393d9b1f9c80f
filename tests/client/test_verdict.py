from __future__ import annotations

import pytest

from fleetd.client.verdict import Absences, End, View, judge
from fleetd.coordination.port import LEASE, HostProgress, HostState, Intent, Rollout, RolloutState

A, B, C = "a/app", "b/app", "c/app"
ASKED, WAITING, ROLLING, DONE, HALTED = (
    *(HostState.ASKED, HostState.WAITING, HostState.ROLLING, HostState.DONE, HostState.HALTED),
)


def rollout(epoch: int = 5, state: RolloutState = RolloutState.RUNNING, **hosts: HostState) -> Rollout:
    return Rollout(epoch, state, Intent(), 0.0, 1, hosts={f"{n}/app": HostProgress(s) for n, s in hosts.items()})


def view(*rollouts: Rollout, waited_for: tuple[str, ...] = (A, B), missing: tuple[str, ...] = ()) -> View:
    return View(rollouts, frozenset(waited_for), frozenset(missing))


SUPERSEDED = rollout(5, RolloutState.SUPERSEDED, a=DONE, b=ROLLING)
CASES = {
    "nobody has seen it": (view(rollout(a=ASKED, b=ASKED)), None),
    "one is done": (view(rollout(a=DONE, b=ROLLING)), None),
    "all are done": (view(rollout(a=DONE, b=DONE)), End.DONE),
    "all are done, and the coordinator says so": (view(rollout(5, RolloutState.DONE, a=DONE, b=DONE)), End.DONE),
    "one that joined later is not waited for": (view(rollout(a=DONE, b=DONE, c=ROLLING)), End.DONE),
    "one that was live at the request is not in it": (view(rollout(a=DONE)), None),
    "over for the coordinator, yet one is not done": (view(rollout(5, RolloutState.DONE, a=DONE, b=WAITING)), None),
    "halted": (view(rollout(5, RolloutState.HALTED, a=DONE, b=HALTED)), End.HALTED),
    "halted by order before anything": (view(rollout(5, RolloutState.HALTED, a=ASKED, b=ASKED)), End.HALTED),
    "halted by one that joined when all were done": (
        view(rollout(5, RolloutState.HALTED, a=DONE, b=DONE, c=HALTED)),
        End.DONE,
    ),
    "one is missing, another goes on": (view(rollout(a=ROLLING, b=ROLLING), missing=(B,)), None),
    "one is missing, the others are done": (view(rollout(a=DONE, b=ROLLING), missing=(B,)), End.MISSING),
    "all are missing": (view(rollout(a=WAITING, b=ROLLING), missing=(A, B)), End.MISSING),
    "one that is done may be gone": (view(rollout(a=DONE, b=DONE), missing=(B,)), End.DONE),
    "a halt tells more than a missing host": (
        view(rollout(5, RolloutState.HALTED, a=HALTED, b=ROLLING), missing=(A, B)),
        End.HALTED,
    ),
    "superseded, and by what is not known yet": (view(SUPERSEDED), None),
    "superseded: the first one's done hosts count": (view(SUPERSEDED, rollout(7, a=ROLLING, b=DONE)), End.DONE),
    "superseded: the rest is waited for": (view(SUPERSEDED, rollout(7, a=DONE, b=ROLLING)), None),
    "the superseding one halts": (view(SUPERSEDED, rollout(7, RolloutState.HALTED, b=HALTED)), End.HALTED),
    "the superseding one is over without us": (view(SUPERSEDED, rollout(7, RolloutState.DONE, a=DONE)), None),
}


@pytest.mark.parametrize("case", CASES)
def test_verdict(case: str) -> None:
    seen, end = CASES[case]
    assert judge(seen) is end


def test_a_request_is_seen_when_some_member_says_more_than_asked() -> None:
    assert not view(rollout(a=ASKED, b=ASKED)).is_seen
    assert view(rollout(a=ASKED, b=WAITING)).is_seen
    assert view(rollout(5, RolloutState.SUPERSEDED, a=ASKED), rollout(7, a=WAITING)).is_seen


def test_a_member_is_missing_when_its_lease_is_over_for_one_more_term() -> None:
    absences = Absences()
    absences.look([A, B], [A], 100.0)
    assert absences.missing(100.0 + LEASE - 0.1) == frozenset()
    absences.look([A, B], [A], 100.0 + LEASE)
    assert absences.missing(100.0 + LEASE) == {B}


def test_one_that_comes_back_begins_anew() -> None:
    absences = Absences()
    absences.look([A], [], 100.0)
    absences.look([A], [A], 109.0)
    absences.look([A], [], 111.0)
    assert absences.missing(112.0) == frozenset()


def test_nobody_is_blamed_for_the_coordinators_own_absence() -> None:
    absences = Absences()
    absences.look([A], [], 100.0)
    absences.forget()
    absences.look([A], [], 150.0)
    assert absences.missing(159.0) == frozenset()
