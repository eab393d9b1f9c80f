from __future__ import annotations

import pytest

from tests.support.history import Host, pool_spec


@pytest.mark.parametrize(
    ("size", "came"), [(999, ""), (1000, ""), (1001, "start m:0.2")], ids=["below", "at the limit", "above"]
)
def test_a_worker_above_its_max_memory_is_replaced(size: int, came: str) -> None:
    host = Host({"m": pool_spec("m", {"max-memory": 1000})})
    host.play("0 files")
    host.play("5 wait")
    assert host.play(f"5 memory m:0.1 {size}") == came
    assert host.play("5 memory unknown 5000") == ""


def test_a_second_sample_asks_for_no_second_replacement() -> None:
    host = Host({"m": pool_spec("m", {"max-memory": 1000})})
    for line in ("0 files", "5 wait", "5 memory m:0.1 2000"):
        host.play(line)
    assert host.play("5.5 memory m:0.1 2000") == ""


def test_the_spread_of_limits_is_drawn_once_for_each_worker() -> None:
    values = {"numprocs": 20, "max-lifetime": 100, "max-lifetime-jitter": 50, "max-jobs": 5, "max-jobs-jitter": 5}
    values |= {"max-memory": 1000, "max-memory-jitter": 500}
    host = Host({"m": pool_spec("m", values)})
    host.play("0 files")
    ends = [run.lifetime_ends for run in host.state.runs.values()]
    sizes = [run.max_memory for run in host.state.runs.values()]
    jobs = {run.max_jobs for run in host.state.runs.values()}
    assert all(end is not None and 100 <= end < 150 for end in ends)
    assert len(set(ends)) == 20
    assert all(size is not None and 1000 <= size < 1500 for size in sizes)
    assert len(set(sizes)) > 10
    assert jobs <= {5, 6, 7, 8, 9, 10}
    assert len(jobs) > 3
    host.play("50 wait")
    for line in ("50 daemon-killed", "50 daemon-killed"):
        host.play(line)
        assert [run.lifetime_ends for run in host.state.runs.values()] == pytest.approx(ends)
        assert [run.max_memory for run in host.state.runs.values()] == sizes
