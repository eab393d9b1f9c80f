"""Nobody is woken for nothing (P8)."""

from __future__ import annotations

from collections import Counter

from fleetd.core.deadlines import next_deadline
from tests.support.history import Host, pool_spec


def settled(values: dict[str, object]) -> Host:
    host = Host({"m": pool_spec("m", values)})
    host.play("0 files")
    host.play("10 wait")
    return host


def test_an_idle_daemon_does_not_wake_up() -> None:
    host = settled({"numprocs": 50, "job-timeout": 60.0, "stop-timeout": 70.0})
    assert next_deadline(host.state) is None
    assert host.state.deadlines == []


def test_the_deadline_of_a_job_that_ended_is_stale_and_wakes_nobody() -> None:
    host = settled({"job-timeout": 60.0})
    host.play("11 job m:0.1 started a")
    assert next_deadline(host.state) == 71.0
    host.play("12 job m:0.1 done a")
    assert next_deadline(host.state) is None


def test_a_later_job_moves_the_deadline_back() -> None:
    host = settled({"job-timeout": 60.0})
    for line in ("11 job m:0.1 started a", "12 job m:0.1 done a", "20 job m:0.1 started b"):
        host.play(line)
    assert next_deadline(host.state) == 80.0


def test_a_job_without_an_id_is_timed_until_an_end_is_told_that_may_be_its_own() -> None:
    host = settled({"job-timeout": 60.0})
    for line in ("11 job m:0.1 started ''", "20 job m:0.1 started ''", "25 job m:0.1 done ''"):
        host.play(line)
    assert next_deadline(host.state) is None, "whichever is in hand, if the end of the other was not lost"
    host.play("26 daemon-killed")
    assert next_deadline(host.state) is None
    assert len(next(iter(host.state.runs.values())).jobs) == 1
    host.play("30 job m:0.1 started ''")
    assert next_deadline(host.state) == 90.0, "no end was told since"
    assert host.play("95 wait") == "@90 kill m:0.1"


def test_an_end_without_an_id_says_nothing_about_jobs_that_have_one() -> None:
    host = settled({"job-timeout": 60.0})
    for line in ("11 job m:0.1 started a", "20 job m:0.1 started ''", "25 job m:0.1 done ''"):
        host.play(line)
    assert next_deadline(host.state) == 71.0


def test_a_slot_has_one_entry_that_counts_however_many_jobs_it_does() -> None:
    host = settled({"numprocs": 3, "job-timeout": 60.0})
    for i in range(200):
        for slot in range(3):
            host.play(f"{11 + i} job m:{slot}.1 started {i}")
            host.play(f"{11 + i} job m:{slot}.1 done {i}")
    assert len(host.state.deadlines) <= 2 * 3
    armed = {(s.armed, "m", s.index) for s in host.state.pools["m"].slots.values()}
    assert max(Counter(entry for entry in host.state.deadlines if entry in armed).values(), default=0) <= 1


def test_the_earliest_of_all_slots_comes_first() -> None:
    host = settled({"numprocs": 3, "job-timeout": 60.0})
    for slot, at in ((2, 11), (0, 12), (1, 13)):
        host.play(f"{at} job m:{slot}.1 started")
    assert next_deadline(host.state) == 71.0
    assert host.play("80 wait") == "@71 kill m:2.1, @72 kill m:0.1, @73 kill m:1.1"


def test_the_entry_of_a_slot_that_is_gone_is_dropped() -> None:
    host = settled({"numprocs": 2, "job-timeout": 60.0})
    for line in (
        "11 job m:1.1 started",
        "11 job m:0.1 started",
        "12 scale m 1",
        "13 exit m:1.1 0",
        "14 job m:0.1 done",
    ):
        host.play(line)
    assert next_deadline(host.state) is None
