"""Runtimes by size."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from fleetd.core.figures import Ledger
from fleetd.core.histogram import BOUNDS, Histogram


@given(st.lists(st.floats(0, 1e6) | st.sampled_from(BOUNDS)))
def test_each_is_in_the_first_bucket_that_holds_it(durations: list[float]) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    below = [sum(seconds <= bound for seconds in durations) for bound in BOUNDS]
    assert [sum(histogram.counts[: number + 1]) for number in range(len(BOUNDS))] == below
    assert sum(histogram.counts) == len(durations)
    assert histogram.total == sum(durations)


def test_a_bound_belongs_to_its_bucket_and_a_clock_that_was_put_back_to_the_first() -> None:
    histogram = Histogram()
    histogram.add(BOUNDS[3])
    histogram.add(-5.0)
    assert [number for number, count in enumerate(histogram.counts) if count] == [0, 3]
    assert histogram.total == BOUNDS[3]


def test_only_a_known_runtime_counts_and_every_job_counts_once() -> None:
    ledger = Ledger()
    ledger.end("a", "Encode", 2.0, 10.0, failed=False)
    ledger.end("a", "Encode", None, 10.0, failed=True)
    assert ledger.runtimes.counts[bisect_left(BOUNDS, 2.0)] == sum(ledger.runtimes.counts) == 1
