"""What follows a worker's own exit: at once, paced, backed off, or not at all, and what is said of it."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest

from tests.support.crash import kill_daemon
from tests.support.events_page import documented
from tests.support.fleetd_cli import Document, Fleetd
from tests.support.waiting import stays, wait_for
from tests.support.worker_pools import NOT_SOON, SLEEPING, failing, python, shell

pytestmark = pytest.mark.process

ONE_JOB = """
import time
from fleetd import worker
with worker.job("thumbnail", queue="media"):
    time.sleep(0.05)
"""


RARE = {
    "worker.drain-repeated",
    "worker.killed",
    "worker.recycled",
    "worker.given-up",
    "worker.spinning",
    "worker.leftover",
}


def starts(fleetd: Fleetd, worker: str) -> list[float]:
    """When a worker was started."""
    return [event["at"] for event in fleetd.events("worker.started") if event["worker"] == worker]


def test_a_worker_that_exits_0_after_each_short_job_is_no_failure(fleetd: Fleetd) -> None:
    fleetd.configure({"media": python(ONE_JOB, numprocs=2, healthy_after="10s")})
    fleetd.run("start", "--detach", "--no-wait")
    wait_for(lambda: (fleetd.pool("media")["jobs"]["done"] or 0) >= 100, "100 jobs", within=60, every=0.5)
    events = fleetd.events()
    exits = [event for event in events if event["kind"] == "worker.exited"]
    assert {(e["fields"]["reason"], e["fields"]["code"], e["fields"]["planned"]) for e in exits} == {("exit", 0, True)}
    unwanted = {"worker.backoff", "worker.crash-loop", "worker.start-failed", "worker.killed", "worker.spinning"}
    assert not unwanted & {event["kind"] for event in events}
    # Replaced at once: the next run starts when the last one is gone, not a second later.
    for slot in ("media:0", "media:1"):
        ended = [e["at"] for e in exits if e["worker"] == slot]
        gaps = [start - end for end, start in zip(ended, starts(fleetd, slot)[1:], strict=False)]
        assert sorted(gaps)[len(gaps) // 2] < 0.5
    fleetd.run("stop", "media")
    pool = fleetd.pool("media")
    done = sum(event["fields"]["jobs_done"] for event in fleetd.events("worker.exited"))
    assert (pool["jobs"]["done"], pool["jobs"]["failed"]) == (done, 0)


def test_instant_clean_exits_are_paced(fleetd: Fleetd) -> None:
    fleetd.configure({"media": shell("exit 0", healthy_after=NOT_SOON), "calm": SLEEPING})
    fleetd.run("start", "--detach", "--no-wait")

    def number(at_least: int) -> int:
        wait_for(lambda: len(starts(fleetd, "media:0")) >= at_least, f"{at_least} starts", within=60, every=0.5)
        return len(starts(fleetd, "media:0"))

    number(25)
    began = time.monotonic()
    first = number(0)
    more = number(first + 45) - first
    per_second = more / (time.monotonic() - began)
    assert 2 < per_second < 22  # not backed off, which would be once in a second, and paced
    (spinning,) = fleetd.events("worker.spinning")
    assert spinning["worker"] == "media:0"
    assert not fleetd.events("worker.backoff")


def test_a_crash_loop_is_backed_off_ever_longer_and_told(fleetd: Fleetd) -> None:
    fleetd.configure(
        {
            "media": failing(
                "cat /proc/uptime >>started; echo broken >&2; exit 1",
                directory=str(fleetd.directory),
                backoff={"first": "100ms", "max": "400ms", "factor": 2},
            )
        }
    )
    fleetd.start(code=1)
    wait_for(lambda: fleetd.events("worker.crash-loop"), "the crash loop to be told")
    waits = [event["fields"]["wait"] for event in fleetd.events("worker.backoff")]
    assert all(0 < wait <= 0.6 for wait in waits)
    assert max(waits[3:]) > 2 * waits[0] or waits[0] > 0.12
    began = [float(line.split()[0]) for line in (fleetd.directory / "started").read_text().splitlines()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert all(gap >= wait - 0.02 for gap, wait in zip(gaps, waits, strict=False))
    (worker,) = fleetd.pool("media")["workers"]
    assert worker["state"] in {"backoff", "starting"}
    assert worker["last_exit"]["code"] == 1
    assert fleetd.events("worker.crash-loop")[0]["fields"]["lines"] == ["broken"]


def test_giving_up_only_when_asked_to_and_start_tries_again(fleetd: Fleetd) -> None:
    pool = failing("exit 1", backoff={"first": "20ms"}, give_up={"failures": 3, "within": "1m"})
    fleetd.configure({"media": pool})
    said = fleetd.start(code=1).stderr
    assert "media:0" in said
    wait_for(lambda: fleetd.pool("media")["workers"][0]["state"] == "given-up", "giving up")
    assert len(fleetd.events("worker.exited")) == 3
    assert len(fleetd.events("worker.given-up")) == 1
    fleetd.run("start", "media", code=1)
    assert len(fleetd.exits(4)) >= 4


@pytest.mark.parametrize(
    ("restart", "code", "again"), [("on-failure", 0, False), ("on-failure", 1, True), ("never", 1, False)]
)
def test_restart_policies(fleetd: Fleetd, restart: str, code: int, again: bool) -> None:
    fleetd.configure({"media": shell(f"sleep 0.3; exit {code}", restart=restart, backoff={"first": "50ms"})})
    fleetd.run("start", "--detach", "--no-wait")
    fleetd.exits(1)
    if again:
        fleetd.exits(2)
        return
    stays(lambda: len(starts(fleetd, "media:0")) == 1, "the one start", seconds=0.7)
    assert fleetd.pool("media")["workers"][0]["state"] == "stopped"


def test_what_fleetd_itself_asked_to_end_is_replaced_whatever_the_policy(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "restart": "never"}})
    fleetd.start()
    before = fleetd.pids("media")
    fleetd.run("restart", "media")
    assert fleetd.pids("media")
    assert fleetd.pids("media") != before


def test_events_have_the_fields_that_are_documented(fleetd: Fleetd) -> None:
    pool = {**SLEEPING, "numprocs": 2}
    fleetd.configure(
        {"media": pool, "bad": failing("exit 1", backoff={"first": "20ms"}), "gone": SLEEPING, "no": {"command": "/no"}}
    )
    fleetd.start(code=1)
    wait_for(lambda: fleetd.events("worker.crash-loop"), "a crash loop")
    fleetd.configure({"media": {**pool, "numprocs": 3}})
    for command in (
        ["reload"],
        ["restart"],
        ["scale", "media=1"],
        ["pause"],
        ["resume"],
        ["stop", "media"],
        ["start", "media"],
    ):
        fleetd.run(*command)
    events = fleetd.events()
    kill_daemon(fleetd)
    fleetd.start()
    events += fleetd.events()
    page = documented()
    for event in events:
        assert set(event["fields"]) == set(page[event["kind"]].fields), event["kind"]
    seen = {event["kind"] for event in events}
    assert seen >= {
        kind for kind in page if kind.startswith(("pool.", "daemon.started", "worker.")) and kind not in RARE
    }


# -- what cannot even start --------------------------------------------------------------------------------------------


def why(fleetd: Fleetd, pool: Document) -> str:
    """The line with which a pool's worker does not start, as `start` and the events tell it."""
    fleetd.configure({"media": pool})
    *_, said, where_it_is = fleetd.start(code=1).stderr.splitlines()
    (failed, *_) = fleetd.events("worker.start-failed")
    error: str = failed["fields"]["error"]
    assert said.startswith(f"fleetd start: media:0: {error}"), said
    assert where_it_is.startswith("fleetd start: the daemon runs on")
    assert failed["text"] == f"media:0: could not be started: {error}"
    assert fleetd.pool("media")["workers"][0]["last_exit"]["reason"] == "start-failed"
    return error


def test_a_missing_command(fleetd: Fleetd) -> None:
    error = why(fleetd, {"command": ["no-such-program", "x"]})
    assert error == "command no-such-program: not found in PATH (no such file or directory)"


def test_a_missing_program(fleetd: Fleetd) -> None:
    assert why(fleetd, {"command": ["/no/such/program"]}) == "command /no/such/program: no such file or directory"


def test_a_program_that_is_not_executable(fleetd: Fleetd) -> None:
    program = fleetd.directory / "plain.txt"
    program.write_text("text")
    assert why(fleetd, {"command": [str(program)]}) == f"command {program}: permission denied"


def test_a_missing_interpreter(fleetd: Fleetd) -> None:
    program = fleetd.directory / "script"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    assert why(fleetd, {"command": [str(program)]}) == (
        f"command {program}: its interpreter /no/such/interpreter does not exist"
    )


def test_a_missing_directory(fleetd: Fleetd) -> None:
    error = why(fleetd, {**SLEEPING, "directory": "/no/such/directory"})
    assert error == "directory /no/such/directory: no such file or directory"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts workers as somebody else")
def test_a_missing_user(fleetd: Fleetd) -> None:
    error = why(fleetd, {**SLEEPING, "user": "no-such-user"})
    assert error == "user no-such-user does not exist on this host"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts workers as somebody else")
def test_a_directory_that_its_user_may_not_enter(fleetd: Fleetd) -> None:
    private = fleetd.directory / "private"
    private.mkdir(mode=0o700)
    error = why(fleetd, {**SLEEPING, "user": "nobody", "directory": str(private)})
    assert error == f"directory {private}: permission denied for user nobody"


def test_an_env_file_with_a_mistake_tells_the_line_and_not_the_text(fleetd: Fleetd) -> None:
    file = Path(fleetd.directory / "worker.env")
    file.write_text("GOOD=1\nthe secret without a name\n")
    error = why(fleetd, {**SLEEPING, "env-file": str(file)})
    assert error.startswith(f"env-file {file}, line 2: ")
    assert "secret" not in error
