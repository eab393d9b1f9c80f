from __future__ import annotations

import pytest

from fleetd.core.backoff import delay, has_given_up
from fleetd.core.spec import Backoff, GiveUp


@pytest.mark.parametrize(
    ("failures", "shortest", "middle", "longest"),
    [
        (0, 0, 0, 0),
        (1, 0.75, 1, 1.25),
        (2, 1.5, 2, 2.5),
        (5, 12, 16, 20),
        (6, 24, 32, 40),
        (7, 45, 60, 60),
        (8, 45, 60, 60),
        (10_000, 45, 60, 60),
    ],
)
def test_the_wait_grows_by_the_factor_within_its_spread_and_never_above_the_longest(
    failures: int, shortest: float, middle: float, longest: float
) -> None:
    backoff = Backoff(first=1.0, max=60.0, factor=2.0)
    assert delay(backoff, failures, 0.0) == shortest
    assert delay(backoff, failures, 0.5) == middle
    assert delay(backoff, failures, 1.0) == longest


def test_a_first_wait_above_the_longest_is_cut() -> None:
    assert delay(Backoff(first=5.0, max=3.0, factor=1.0), 1, 0.5) == 3.0


@pytest.mark.parametrize(
    ("failed_at", "given_up"),
    [
        ((), False),
        ((1.0, 99.0), False),
        ((98.0, 99.0, 100.0), True),
        ((40.0, 99.0, 100.0), False),  # the window is open at its beginning
        ((40.1, 99.0, 100.0), True),
    ],
)
def test_gives_up_when_enough_failures_fall_within_the_window(failed_at: tuple[float, ...], given_up: bool) -> None:
    assert has_given_up(GiveUp(failures=3, within=60.0), failed_at, 100.0) is given_up


def test_never_gives_up_unless_asked_to() -> None:
    assert not has_given_up(None, [1.0] * 1000, 1.0)
