"""A drain signal that was not heard is sent again, and never while a job is in hand."""

from __future__ import annotations

import pytest

from tests.support.history import Host, pool_spec

RQ = {"repeat-drain": True, "jobs-at-once": 1, "stop-timeout": 3600}
BUSY = ("0 files", "5 job m:0.1 started a", "10 stop m")


def played(*lines: str, **values: object) -> tuple[Host, list[str]]:
    host = Host({"m": pool_spec("m", {**RQ, **values})})
    return host, [host.play(line) for line in lines]


def test_one_that_goes_on_to_take_jobs_is_told_again_at_the_end_of_one() -> None:
    jobs = ("15 job m:0.1 done a", "15 job m:0.1 started b", "60 job m:0.1 done b", "60 job m:0.1 started c", "90 wait")
    _, told = played(*BUSY, *jobs)
    assert told[2:] == ["term m:0.1", "", "", "term m:0.1", "", ""]


@pytest.mark.parametrize("began", ["5", "11.9"])
def test_a_job_that_was_in_hand_or_being_fetched_is_no_proof(began: str) -> None:
    lines = ["0 files", "10 stop m", f"{began} job m:0.1 started a"] if began != "5" else list(BUSY)
    _, told = played(*lines, "60 job m:0.1 done a", "65 exit m:0.1 0")
    assert told[-2:] == ["", "ended m:0 stop"]


def test_one_that_is_idle_and_still_there_is_told_again_once() -> None:
    host, told = played(*BUSY, "60 job m:0.1 done a", "2000 wait")
    assert told[-1] == "@70 term m:0.1"
    assert host.play("2001 job m:0.1 started b") == ""
    assert host.play("2100 job m:0.1 done b") == "term m:0.1"


def test_nothing_is_sent_while_a_job_is_in_hand() -> None:
    _, told = played(*BUSY, "60 job m:0.1 done a", "65 job m:0.1 started b", "3000 wait")
    assert told[-1] == ""


def test_nothing_is_sent_to_one_of_whose_jobs_nothing_is_known() -> None:
    _, told = played("0 files", "10 stop m", "3000 wait")
    assert told[-1] == ""


def test_a_next_daemon_goes_on_to_watch() -> None:
    _, told = played(*BUSY, "60 job m:0.1 done a", "61 daemon-killed", "100 wait")
    assert told[-1] == "@71 term m:0.1"


def test_others_are_told_once() -> None:
    lines = (*BUSY, "60 job m:0.1 done a", "65 job m:0.1 started b", "70 job m:0.1 done b", "2000 wait")
    _, told = played(*lines, **{"repeat-drain": False})
    assert told[3:] == ["", "", "", ""]
