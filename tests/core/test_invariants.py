"""A state that is wrong is seen to be wrong: each promise is broken once, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleetd.core.invariants import violations
from fleetd.core.state import Pool, Reason, State
from tests.support.history import Host, pool_spec


def lose(state: State, pool: Pool) -> None:
    state.runs.clear()


def double(state: State, pool: Pool) -> None:
    pool.slots[1].successor = pool.slots[0].run


def empty(state: State, pool: Pool) -> None:
    run = pool.slots[0].run
    assert run is not None
    del state.runs[run.id]
    pool.slots[0].run = None


def miscount(state: State, pool: Pool) -> None:
    pool.alive += 1


def forget_to_wake(state: State, pool: Pool) -> None:
    pool.slots[0].retry_at = 5.0


def drain_in_place(state: State, pool: Pool) -> None:
    run = pool.slots[0].run
    assert run is not None
    run.ending = Reason.STOP


def spare(state: State, pool: Pool) -> None:
    pool.numprocs = 3


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lose, "a run is lost"),
        (double, "a run stands in two places"),
        (empty, "m:0: is empty, and nothing will fill it"),
        (miscount, "m: counts 3 processes"),
        (forget_to_wake, "m:0: has a deadline that nobody will be woken for"),
        (drain_in_place, "m:0: a run that is being drained stands where jobs are taken"),
        (drain_in_place, "m:0: a run was asked to end, and nothing will end it"),
        (spare, "m: has not the 3 slots"),
    ],
)
def test_a_broken_promise_is_told(break_it: Callable[[State, Pool], None], said: str) -> None:
    host = Host({"m": pool_spec("m", {"numprocs": 2})})
    host.play("0 files")
    host.play("5 wait")
    assert violations(host.state) == []
    break_it(host.state, host.state.pools["m"])
    assert any(line.startswith(said) for line in violations(host.state)), violations(host.state)
