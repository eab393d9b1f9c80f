"""Whether a place is well."""

from __future__ import annotations

import pytest

from fleetd.core.chance import Chance
from fleetd.core.health import has_failed_for_good, is_expected, is_lost, is_up
from fleetd.core.restarts import CRASH_LOOP
from fleetd.core.roll import Release
from fleetd.core.spec import Launch, PoolSpec, Restart
from fleetd.core.state import LastExit, Phase, Pool, Reason, Run, Slot, State


def place(**spec: object) -> tuple[State, Pool, Slot]:
    pool_spec = PoolSpec("media", Launch(("true",)), **spec)  # type: ignore[arg-type]
    release = Release(0, pool_spec)
    pool = Pool(pool_spec, release, 1)
    slot = pool.slots[0] = Slot(0, release)
    state = State(Chance(1))
    state.pools["media"] = pool
    return state, pool, slot


def worker(slot: Slot, phase: Phase) -> Run:
    return Run("r", "media", 0, slot.release, 0.0, 0.0, phase=phase, was_healthy=phase is Phase.HEALTHY)


def test_a_healthy_worker_is_up() -> None:
    _, _, slot = place()
    slot.run = worker(slot, Phase.HEALTHY)

    assert is_up(slot)


def test_a_place_whose_worker_just_left_as_planned_is_up() -> None:
    _, _, slot = place()
    slot.came_up = True

    assert is_up(slot)


def test_a_place_whose_worker_crashed_is_not_up() -> None:
    _, _, slot = place()
    slot.came_up, slot.failures = True, 1

    assert not is_up(slot)


def test_a_place_that_has_never_come_up_is_not_up() -> None:
    _, _, slot = place()
    slot.run = worker(slot, Phase.STARTING)

    assert not is_up(slot)


def test_a_place_that_leaves_is_not_up() -> None:
    _, _, slot = place()
    slot.run, slot.retiring = worker(slot, Phase.HEALTHY), True

    assert not is_up(slot)


@pytest.mark.parametrize(("code", "failed"), [(0, False), (3, True)])
def test_a_last_run_that_ended_badly_failed_for_good(code: int, failed: bool) -> None:
    state, pool, slot = place(restart=Restart.NEVER)
    slot.finished, slot.last_exit = True, LastExit(code, None, Reason.EXIT, 0.0)

    assert has_failed_for_good(pool, slot) is failed
    assert is_expected(state, pool, slot) is failed


def test_a_given_up_place_is_expected_unless_an_operator_stopped_it() -> None:
    state, pool, slot = place()
    slot.given_up = True
    assert is_expected(state, pool, slot)

    slot.stopped = True
    assert not is_expected(state, pool, slot)


def test_a_place_in_a_crash_loop_is_lost_until_a_worker_has_stayed() -> None:
    _, pool, slot = place()
    slot.failures = CRASH_LOOP - 1
    assert not is_lost(pool, slot, 1000.0)
    slot.failures = CRASH_LOOP
    assert is_lost(pool, slot, 1000.0)
    slot.run = worker(slot, Phase.HEALTHY)  # that was started at 0
    assert is_lost(pool, slot, pool.spec.backoff.max - 1)
    assert not is_lost(pool, slot, pool.spec.backoff.max)


def test_a_place_that_was_given_up_is_lost() -> None:
    _, pool, slot = place()
    slot.given_up = True
    assert is_lost(pool, slot, 0.0)
