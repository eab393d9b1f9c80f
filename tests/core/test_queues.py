"""How long the next job of a queue has to wait."""

from __future__ import annotations

import pytest

from fleetd.core.queues import UNKNOWN, Depth, Waiting, waiting

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
