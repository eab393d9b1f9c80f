"""How long the next job of a queue has to wait."""

from __future__ import annotations

import pytest

from fleetd.core.queues import UNKNOWN, Depth, Ended, Still, Waiting, waiting

NOW = 1_000.0


@pytest.mark.parametrize(
    ("depth", "runtime", "workers", "expected"),
    [
        pytest.param(Depth(ready=0), 2.0, 1, Waiting(0.0, "measured"), id="nobody waits"),
        pytest.param(Depth(ready=0, due=0, reserved=3), None, 0, Waiting(0.0, "measured"), id="all are in hand"),
        pytest.param(Depth(ready=4, oldest_at=990.0), 2.0, 1, Waiting(10.0, "measured"), id="the oldest one's age"),
        pytest.param(Depth(ready=4, oldest_at=1_001.0), 2.0, 1, Waiting(0.0, "measured"), id="a clock that is ahead"),
        pytest.param(Depth(ready=4), 2.0, 2, Waiting(4.0, "estimated"), id="time to clear"),
        pytest.param(Depth(ready=0, due=4), 2.0, 2, Waiting(4.0, "estimated"), id="due ones wait too"),
        pytest.param(Depth(ready=4, consumers=8), 2.0, 2, Waiting(1.0, "estimated"), id="workers of other hosts"),
        pytest.param(Depth(ready=4), None, 2, None, id="no runtime is known"),
        pytest.param(Depth(ready=4), 2.0, 0, None, id="no worker"),
        pytest.param(Depth(ready=4), 0.0, 1, None, id="jobs that take no time"),
        pytest.param(UNKNOWN, 2.0, 1, None, id="the broker does not tell"),
    ],
)
def test_wait(depth: Depth, runtime: float | None, workers: int, expected: Waiting | None) -> None:
    assert waiting(depth, NOW, runtime, workers) == expected


@pytest.mark.parametrize(
    ("runtime", "rate", "seconds"),
    [
        pytest.param(2.0, 4.0, 2.0, id="as it went of late"),
        pytest.param(2.0, 0.1, 16.0, id="as one worker can, after a time without jobs"),
        pytest.param(None, 4.0, 2.0, id="without a runtime"),
    ],
)
def test_an_estimate_is_by_what_is_done_of_late_if_that_is_more(
    runtime: float | None, rate: float, seconds: float
) -> None:
    assert waiting(Depth(ready=8), NOW, runtime, 1, rate) == Waiting(seconds, "estimated")


@pytest.mark.parametrize(
    ("runtime", "workers", "still", "expected"),
    [
        pytest.param(1.0, 2, 10_800.0, Waiting(10_800.0, "estimated"), id="workers that hang"),
        pytest.param(1.0, 2, 9.0, Waiting(50.0, "estimated"), id="a moment between two jobs"),
        pytest.param(1.0, 0, 300.0, Waiting(300.0, "estimated"), id="no worker"),
        pytest.param(None, 2, 300.0, Waiting(300.0, "estimated"), id="no job has ended yet"),
    ],
)
def test_a_queue_that_stands_still_is_waited_in_for_as_long(
    runtime: float | None, workers: int, still: float, expected: Waiting
) -> None:
    assert waiting(Depth(ready=100), NOW, runtime, workers, still=still) == expected
    assert waiting(Depth(ready=100, oldest_at=990.0), NOW, runtime, workers, still=still) == Waiting(10.0, "measured")
    assert waiting(Depth(ready=0), NOW, runtime, workers, still=still) == Waiting(0.0, "measured")
    assert waiting(UNKNOWN, NOW, runtime, workers, still=still) is None


def none_taken(ready: int) -> Depth:
    """So many jobs wait, and none is in hand, wherever."""
    return Depth(ready=ready, reserved=0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(none_taken(4), none_taken(4), False, id="as before"),
        pytest.param(none_taken(4), none_taken(9), False, id="more have come"),
        pytest.param(none_taken(4), none_taken(3), True, id="one was taken"),
        pytest.param(Depth(ready=4, due=0, reserved=0), Depth(ready=2, due=2, reserved=0), False, id="some are due"),
        pytest.param(none_taken(4), Depth(ready=4, reserved=2), True, id="two more are in hand"),
        pytest.param(Depth(ready=4), Depth(ready=5, ended=(Ended(failed=True),)), True, id="one has ended"),
        pytest.param(Depth(ready=4, ended=()), Depth(ready=5, ended=()), False, id="none has ended"),
        pytest.param(none_taken(0), none_taken(9), True, id="none waited"),
        pytest.param(none_taken(9), none_taken(0), True, id="none waits"),
        pytest.param(UNKNOWN, none_taken(4), True, id="the first read"),
    ],
)
def test_what_two_reads_tell_of_a_queue_that_moves(before: Depth, after: Depth, expected: bool) -> None:
    still = Still(100.0, before).after(after, NOW, 2)
    assert still == Still(NOW if expected else 100.0, after)
    assert still.after(UNKNOWN, NOW + 1, 2) == still, "a read that failed"


@pytest.mark.parametrize(
    ("depth", "here", "expected"),
    [
        pytest.param(Depth(ready=9, reserved=0), 0, True, id="no worker has one"),
        pytest.param(Depth(ready=9, reserved=4), 4, True, id="this host's workers have all"),
        pytest.param(Depth(ready=9, reserved=4), 0, False, id="others have all"),
        pytest.param(Depth(ready=9, reserved=4), 3, False, id="others have one"),
        pytest.param(Depth(ready=9, reserved=4, ended=()), 0, True, id="others have all, and it shows when one ends"),
        pytest.param(Depth(ready=9), 2, False, id="nothing tells of others"),
        pytest.param(Depth(ready=9, consumers=2), 2, False, id="there may be others"),
        pytest.param(Depth(ready=9, consumers=0), 0, True, id="there is no consumer"),
        pytest.param(Depth(ready=9, consumers=0, reserved=4), 0, False, id="they have some without being consumers"),
    ],
)
def test_a_queue_stands_still_only_where_it_would_be_seen_to_move(depth: Depth, here: int, expected: bool) -> None:
    still = Still(100.0, depth).after(depth, NOW, here)
    assert still == (Still(100.0, depth) if expected else None)
