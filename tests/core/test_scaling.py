from __future__ import annotations

import pytest

from tests.support.history import Host, pool_spec


@pytest.mark.parametrize(
    ("surge", "busy", "to", "left"),
    [
        (1, "", 2, [0, 1]),  # nobody is busy: high numbers go
        (1, "3", 2, [0, 3]),
        (1, "23", 2, [2, 3]),
        (1, "0123", 2, [0, 1]),
        (1, "23", 1, [2]),
        (0, "23", 2, [0, 1]),  # replaced in place: its numbers stand for something
        (1, "", 0, []),
        (1, "", 6, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_who_leaves_and_who_joins(surge: int, busy: str, to: int, left: list[int]) -> None:
    values = {"numprocs": 4, "reports_jobs": True, "max_surge": surge, "max_unavailable": 1 - surge}
    host = Host({"m": pool_spec("m", values)})
    host.play("0 files")
    for slot in busy:
        host.play(f"2 job m:{slot}.1 started")
    host.play(f"3 scale m {to}")
    assert sorted(i for i, slot in host.state.pools["m"].slots.items() if not slot.retiring) == left


def test_the_lowest_free_number_joins_first() -> None:
    host = Host({"m": pool_spec("m", {"numprocs": 3, "reports_jobs": True})})
    for line in ("0 files", "2 job m:2.1 started", "2 job m:1.1 started", "3 scale m 2", "4 exit m:0.1 0"):
        host.play(line)
    assert host.play("5 scale m 4") == "start m:0.2, start m:3.1"


def test_a_scaling_is_remembered_until_the_numprocs_of_the_file_changes() -> None:
    host = Host({"m": pool_spec("m", {"numprocs": 2})})
    for line in ("0 files", "2 scale m 4", "3 daemon-killed"):
        host.play(line)
    assert host.state.pools["m"].numprocs == 4
    host.play("4 reload m stop_timeout=9")
    assert host.state.pools["m"].numprocs == 4
    host.play("5 reload m numprocs=3")
    assert host.state.pools["m"].numprocs == 3
    host.play("6 daemon-killed")
    assert host.state.pools["m"].numprocs == 3
