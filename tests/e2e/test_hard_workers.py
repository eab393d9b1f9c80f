"""P1, P9: workers that do not end, that leave others behind, and whose output is a nuisance."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.crash import identities, keeper_of, started_at
from tests.support.fleetd_cli import Fleetd, kill
from tests.support.waiting import samples, stays, wait_for
from tests.support.worker_pools import SLEEPING, program, python, shell

pytestmark = pytest.mark.process

STOP_TIMEOUT = 1.0
LATE = 7.0  # seconds that a busy machine may be late; without a stop-timeout of its own a pool has 10


def tree_of(pid: int) -> list[int]:
    """A process and all that descends from it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def told(fleetd: Fleetd, pattern: str) -> int:
    """The number that a worker printed."""
    found = wait_for(lambda: re.search(pattern, fleetd.run("logs").stdout), f"{pattern} in the logs")
    return int(found[1])


# -- ending them -------------------------------------------------------------------------------------------------------


def test_a_worker_and_its_child_that_ignore_term_are_killed_after_the_stop_timeout(anyones: Fleetd) -> None:
    anyones.configure({"deaf": program("deaf.sh", stop_timeout=STOP_TIMEOUT)})
    anyones.start()
    (pid,) = anyones.pids("deaf").values()
    wait_for(lambda: len(tree_of(pid)) > 1, "the child that holds the pipe")
    whole = identities(tree_of(pid))
    began = time.monotonic()
    anyones.control.call("stop", {"targets": ["deaf"], "wait": True}, timeout=60)
    assert time.monotonic() - began >= STOP_TIMEOUT
    assert not identities([each for each, _ in whole])
    (draining,), (killed,) = anyones.events("worker.draining"), anyones.events("worker.killed")
    assert killed["at"] - draining["at"] < STOP_TIMEOUT + LATE
    (exited,) = anyones.events("worker.exited")
    assert (exited["fields"]["reason"], exited["fields"]["signal"]) == ("stop", 9)


def test_a_grandchild_that_ignores_term_and_holds_the_pipe_goes_with_its_worker(anyones: Fleetd) -> None:
    """The worker itself obeys, at once: what it leaves is no reason to wait, and is not left."""
    script = "(trap '' TERM; sh -c 'trap \"\" TERM; echo grandchild $$; while :; do sleep 1; done') & wait"
    anyones.configure({"media": shell(script, stop_timeout="30s")})
    anyones.start()
    grandchild = told(anyones, r"grandchild (\d+)")
    assert started_at(grandchild)
    anyones.run("stop", "media", timeout=20)
    assert started_at(grandchild) is None
    assert not anyones.events("worker.killed"), "the worker itself needed no SIGKILL"


def test_a_daemon_in_a_session_of_its_own_goes_with_its_worker(anyones: Fleetd) -> None:
    anyones.configure({"media": program("daemonizes.sh", stop_timeout=STOP_TIMEOUT)})
    anyones.start()
    daemon = told(anyones, r"daemon (\d+)")
    assert started_at(daemon)
    anyones.run("stop", "media")
    assert started_at(daemon) is None
    assert not anyones.events("process.strayed")


def test_a_daemon_that_cleared_its_environment_goes_too_or_is_told(anyones: Fleetd) -> None:
    """It has left group, session, ancestry and FLEETD_RUN: only a cgroup still knows whose it is."""
    anyones.configure({"media": program("daemonizes.sh", "clean", stop_timeout=STOP_TIMEOUT)})
    anyones.start()
    daemon = told(anyones, r"daemon (\d+)")
    cgroup = Path(f"/proc/{daemon}/cgroup").read_text()
    try:
        anyones.run("stop", "media")
        if "fleetd-test" in cgroup:
            assert started_at(daemon) is None
        else:
            (strayed,) = anyones.events("process.strayed")
            assert strayed["fields"]["pids"] == [str(daemon)]
            assert str(daemon) in strayed["text"]
    finally:
        kill(daemon)


def test_a_worker_that_ended_by_itself_leaves_nothing(anyones: Fleetd) -> None:
    anyones.configure({"media": program("leaves_child.sh", "3", restart="never")})
    anyones.start(code=None)
    left = told(anyones, r"left (\d+)")
    wait_for(lambda: anyones.events("worker.exited"), "the exit")
    assert started_at(left) is None
    (exited,) = anyones.events("worker.exited")
    assert exited["fields"]["code"] == 3


def test_a_storm_of_forks_is_ended(anyones: Fleetd) -> None:
    anyones.configure({"media": program("forks.py", stop_timeout=STOP_TIMEOUT)})
    anyones.start()
    wait_for(lambda: "forking" in anyones.run("logs").stdout, "the storm")
    keeper, daemon = keeper_of(anyones), anyones.status()["pid"]
    anyones.run("stop", "media", "--now", timeout=60)
    left = [process.pid for process in anyones.processes() if process.pid not in {keeper, daemon}]
    assert not left


def test_stop_is_honoured_while_workers_are_still_starting(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 60, "healthy-after": "30s"}})
    fleetd.run("start", "--detach", "--no-wait")
    fleetd.run("stop", "media", timeout=28)
    assert {worker["pid"] for worker in fleetd.pool("media")["workers"]} == {None}


# -- their output ------------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def size_of(directory: Path) -> int:
    """In bytes; rotation takes files away meanwhile."""
    total = 0
    for file in directory.iterdir():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def test_a_worker_that_closes_its_output_lives_on_and_costs_nothing(fleetd: Fleetd) -> None:
    fleetd.configure({"quiet": shell("echo closing; exec >&- 2>&-; exec sleep 1000")})
    fleetd.start()
    pids, daemon = fleetd.pids("quiet"), fleetd.status()["pid"]
    before = cpu_seconds(daemon)
    for _ in samples(seconds=1.5, every=0.5):
        assert fleetd.pids("quiet") == pids
    assert cpu_seconds(daemon) - before < 0.5, "the end of the pipe must not be read again and again"
    assert "quiet:0 closing" in fleetd.run("logs").stdout


def test_what_was_written_without_a_newline_is_kept(fleetd: Fleetd) -> None:
    fleetd.configure({"media": shell("printf 'no end'; exec sleep 1000"), "gone": shell("printf 'last words'; exit 4")})
    fleetd.start(code=None)
    wait_for(lambda: "media:0 no end" in fleetd.run("logs", "media").stdout, "the unfinished line")
    wait_for(lambda: "gone:0 last words" in fleetd.run("logs", "gone").stdout, "the last line of one that ended")
    assert fleetd.events("worker.exited")[0]["fields"]["lines"] == ["last words"]


def test_a_flood_holds_nobody_up(fleetd: Fleetd) -> None:
    """The daemon answers, its memory is bounded, the logs are bounded, and a deaf flooder is killed on time."""
    flood = shell(
        "trap '' TERM; while :; do echo 'a line of a flood that does not end, and that nobody will ever read'; done",
        numprocs=2, stop_timeout=STOP_TIMEOUT, log={"format": "raw", "max-size": "1MiB", "keep": 2},
    )  # fmt: skip
    endless = python("import os\nwhile True: os.write(1, b'x' * 65536)", log={"max-size": "1MiB", "keep": 1})
    fleetd.configure({"flood": flood, "endless": endless, "media": SLEEPING})
    fleetd.start()
    process = psutil.Process(fleetd.status()["pid"])
    wait_for((fleetd.log_directory / "flood-0.log.1").exists, "a rotation")
    for _ in samples(seconds=2, every=0.2):
        assert fleetd.run("health", timeout=30)
    assert process.memory_info().rss < 150 * 2**20
    assert size_of(fleetd.log_directory) < 12 * 2**20
    fleetd.run("stop", "flood", timeout=20)
    draining, killed = (fleetd.events(kind) for kind in ("worker.draining", "worker.killed"))
    assert all(k["at"] - d["at"] < STOP_TIMEOUT + LATE for d, k in zip(draining, killed, strict=True))
    assert fleetd.pids("media")


def test_control_characters_and_broken_text_do_not_reach_the_reader(fleetd: Fleetd) -> None:
    fleetd.configure({"media": shell(r"printf '\033[2Jcleared \377\376 \a\n'; exec sleep 1000")})
    fleetd.start()
    wait_for(lambda: "cleared" in fleetd.run("logs").stdout, "the line")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", fleetd.run("logs").stdout)


def test_a_keeper_that_is_killed_takes_no_worker_with_it(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    pids, keeper = fleetd.pids("media"), keeper_of(fleetd)
    kill(keeper)
    wait_for(lambda: [p for p in fleetd.processes() if "keeper" in " ".join(p.info["cmdline"]) and p.pid != keeper],
             "another keeper")  # fmt: skip
    stays(lambda: fleetd.pids("media") == pids, "the workers of the lost keeper", seconds=0.5)
    kill(pids["media:0"])
    wait_for(lambda: fleetd.pids("media").get("media:0") not in {None, pids["media:0"]}, "the successor of one")
    fleetd.run("stop", "media:1")
    assert started_at(pids["media:1"]) is None
