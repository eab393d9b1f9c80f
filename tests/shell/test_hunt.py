from __future__ import annotations

import asyncio

import pytest

from fleetd.core.drain_time import END_MARGIN, KILL_MARGIN
from fleetd.shell.hunt import KILL_SECONDS, STORM_SECONDS, Prey

ONE, TWO, THREE = (7, 100), (8, 100), (9, 100)  # pid and start


@pytest.mark.parametrize(
    ("looks", "given_up_at"),
    [
        ([(0, {ONE}), (4.9, {ONE}), (5.1, {ONE})], 5.1),
        ([(0, {ONE}), (5.1, {TWO}), (5.2, {TWO})], 5.2),  # struck for the first time just now: about to be gone
        ([(6, {ONE, TWO}), (6.1, {TWO})], 6.1),
        ([(0, {ONE}), (5.1, {TWO}), (14.9, {THREE})], None),
        ([(0, {ONE}), (5.1, {TWO}), (15.1, {THREE})], 15.1),
    ],
)
def test_what_survives_is_given_up_after_5_seconds_and_a_storm_after_15(
    looks: list[tuple[float, set[tuple[int, int]]]], given_up_at: float | None
) -> None:
    loop = asyncio.new_event_loop()
    prey = Prey("a" * 32, KILL_SECONDS, loop.create_future())
    loop.close()
    assert next((now for now, left in looks if prey.is_given_up(left, now)), None) == given_up_at


def test_a_storm_leaves_the_daemon_its_time_to_end() -> None:
    """What service managers and container runtimes are told has room for one."""
    assert KILL_SECONDS + STORM_SECONDS <= KILL_MARGIN + END_MARGIN
