from __future__ import annotations

import pytest

from fleetd.core.events import Exited
from fleetd.core.exits import is_planned, reason_of, shows_it_works
from fleetd.core.roll import Release
from fleetd.core.spec import Launch, PoolSpec
from fleetd.core.state import Reason, Run

SPEC = PoolSpec("m", Launch(("w",)), exit_codes=frozenset({0, 12}), exit_reasons={12: "max-memory"}, max_jobs=2)
OOM = {"signal": 9, "oom": True}


def run(*, done: int = 0, ending: Reason | None = None, stopping: bool = False) -> Run:
    life = Run("r", "m", 0, Release(0, SPEC), 0.0, 0.0, ending=ending, says_stopping=stopping, max_jobs=2)
    life.jobs_done = done
    return life


def exited(code: int | None = None, *, signal: int | None = None, oom: bool = False) -> Exited:
    return Exited("r", code, signal, oom=oom)


@pytest.mark.parametrize(
    ("life", "exit_", "planned", "reason"),
    [
        (run(), exited(0), True, Reason.EXIT),
        (run(), exited(12), True, Reason.MAX_MEMORY),
        (run(), exited(1), False, Reason.EXIT),
        (run(done=2), exited(0), True, Reason.MAX_JOBS),
        (run(done=2), exited(1), False, Reason.EXIT),
        (run(done=2), exited(12), True, Reason.MAX_MEMORY),
        (run(), exited(signal=11), False, Reason.SIGNAL),
        (run(), exited(signal=9, oom=True), False, Reason.OOM),
        (run(), exited(0, oom=True), False, Reason.OOM),
        # an unknown code
        (run(), exited(), False, Reason.EXIT),
        (run(stopping=True), exited(), True, Reason.EXIT),
        (run(done=2), exited(), True, Reason.MAX_JOBS),
        (run(done=1), exited(), False, Reason.EXIT),
        # what fleetd asked for, whatever the code
        (run(ending=Reason.STOP), exited(1), True, Reason.STOP),
        (run(ending=Reason.RESTART), exited(signal=9), True, Reason.RESTART),
        (run(ending=Reason.SCALE), exited(signal=9, oom=True), True, Reason.SCALE),
        (run(ending=Reason.JOB_TIMEOUT), exited(signal=9), True, Reason.JOB_TIMEOUT),
        (run(ending=Reason.MAX_LIFETIME), exited(), True, Reason.MAX_LIFETIME),
        # what fleetd ended because it went wrong
        (run(ending=Reason.START_FAILED), exited(signal=9), False, Reason.START_FAILED),
        (run(ending=Reason.WATCHDOG), exited(0), False, Reason.WATCHDOG),
    ],
)
def test_what_an_exit_means(life: Run, exit_: Exited, planned: bool, reason: Reason) -> None:
    assert is_planned(SPEC, life, exit_) is planned
    assert reason_of(SPEC, life, exit_) is reason


@pytest.mark.parametrize(("done", "reports", "works"), [(0, True, False), (1, True, True), (0, False, True)])
def test_a_planned_exit_counts_as_healthy_after_a_job_or_where_none_are_told(
    done: int, reports: bool, works: bool
) -> None:
    assert shows_it_works(PoolSpec("m", Launch(("w",)), reports_jobs=reports), run(done=done)) is works
