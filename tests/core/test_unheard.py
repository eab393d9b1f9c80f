"""A drain signal that was lost is sent again; nothing else is."""

from __future__ import annotations

from fleetd.core.decide import decide, next_deadline
from fleetd.core.effects import Signal
from fleetd.core.events import JobReported, Source, Tick
from fleetd.core.spec import LineMeaning
from fleetd.core.state import Moment
from tests.support.history import UNIX, Host, pool_spec

LOST = ("0 files", "5 job m:0.1 started a", "10 stop m", "10 unheard m:0.1")


def played(*lines: str) -> tuple[Host, list[str]]:
    host = Host({"m": pool_spec("m", {"jobs-at-once": 1, "stop-timeout": 3600})})
    return host, [host.play(line) for line in lines]


def test_it_is_sent_again_when_the_job_in_hand_is_done_and_only_once() -> None:
    _, told = played(
        *LOST, "60 job m:0.1 done a", "61 wait", "62 job m:0.1 started b", "70 job m:0.1 done b", "99 wait"
    )
    assert told[2:] == ["term m:0.1", "", "", "@60 term m:0.1", "", "", ""]


def test_the_two_are_not_so_near_that_they_are_taken_for_one() -> None:
    _, told = played(*LOST, "10.5 job m:0.1 done a", "13 wait")
    assert told[-1] == "@12 term m:0.1"


def test_the_next_job_s_start_that_is_read_with_the_end_of_the_last_holds_it_back() -> None:
    host, _ = played(*LOST)
    (run,) = host.state.runs
    at = Moment(60.0, UNIX + 60)
    told = [
        *decide(host.state, JobReported(run, LineMeaning.DONE, Source.OUTPUT, id="a"), at),
        *decide(host.state, JobReported(run, LineMeaning.STARTED, Source.OUTPUT, id="b"), at),
        *decide(host.state, Tick(), at),
    ]
    assert not any(isinstance(effect, Signal) for effect in told)
    assert next_deadline(host.state) == 3610.0


def test_after_a_job_that_failed_its_framework_has_time_for_what_it_does_about_that() -> None:
    _, told = played(*LOST, "60 job m:0.1 failed a", "69 wait", "71 wait")
    assert told[4:] == ["", "", "@70 term m:0.1"]


def test_a_worker_without_a_job_is_told_again_after_a_while() -> None:
    _, told = played("0 files", "10 stop m", "10 unheard m:0.1", "3000 wait")
    assert told[-1] == "@20 term m:0.1"


def test_a_job_whose_process_is_gone_is_in_hand_no_more() -> None:
    _, told = played(
        "0 files", "5 child-job m:0.1 a 901", "10 stop m", "10 unheard m:0.1", "60 gone m:0.1 901", "99 wait"
    )
    assert told[-1] == "@70 term m:0.1"


def test_the_next_daemon_knows_of_it() -> None:
    _, told = played(*LOST, "30 daemon-killed", "60 job m:0.1 done a", "61 wait")
    assert told[-1] == "@60 term m:0.1"


def test_a_worker_that_is_not_to_end_is_left_alone() -> None:
    _, told = played("0 files", "5 unheard m:0.1", "99 wait")
    assert told[1:] == ["@1 healthy m:0", ""]


def test_one_that_heard_is_told_once() -> None:
    _, told = played(*LOST[:3], "60 job m:0.1 done a", "65 job m:0.1 started b", "70 job m:0.1 done b", "2000 wait")
    assert told[3:] == ["", "", "", ""]
