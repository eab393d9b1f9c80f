"""P3: the daemon is expendable.  SIGKILL at any instant, a new one: the same workers, no line lost, counts exact."""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from fleetd.shell.journal import Journal, News, boot_id
from tests.support.crash import identities, kill_daemon
from tests.support.fleetd_cli import Fleetd
from tests.support.waiting import samples, wait_for
from tests.support.worker_pools import SLEEPING, python, shell, stubborn

pytestmark = pytest.mark.process

COUNTING = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.002; done"
ROUNDS = 5

# Counts its jobs in a file, one byte each, written while the job is in hand.
JOBS = """
import os, sys, time
from fleetd import worker
count = open(sys.argv[1] + "/jobs-" + os.environ["FLEETD_SLOT"], "ab", buffering=0)
while not worker.stopping:
    with worker.job("numbered", queue="q"):
        count.write(b".")
        time.sleep(0.003)
worker.flush(30)
"""

LINES = """
import os, sys, time
count = open(sys.argv[1] + "/lines-" + os.environ["FLEETD_SLOT"], "ab", buffering=0)
number, stopping = 0, []
import signal
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
while not stopping:
    number += 1
    print("start job-%d\\ndone job-%d" % (number, number), flush=True)
    count.write(b".")
    time.sleep(0.003)
"""
BY_LINES = {
    "lines": {
        "patterns": [
            {"meaning": "started", "literal": "start job-", "regex": "^start (?P<id>job-[0-9]+)$"},
            {"meaning": "done", "literal": "done job-", "regex": "^done (?P<id>job-[0-9]+)$"},
        ]
    }
}


CHILDREN = """
import os, time
from fleetd import worker
for name in ("first", "second"):
    if os.fork() == 0:
        open(name, "w").write(str(os.getpid()))
        with worker.job(name):
            time.sleep(1000)
time.sleep(1000)
"""

MANY_AND_QUIET = """
import time
print("".join("start job-%d\\ndone job-%d\\n" % (number, number) for number in range(2000)), flush=True)
time.sleep(1000)
"""


def numbers_in(log: Path) -> list[int]:
    """The numbers of a counting worker's lines, in the order of the file."""
    return [int(number) for number in re.findall(r"line (\d+)(?:\"\})?\n", log.read_text())]


def test_the_same_workers_and_every_line_once(fleetd: Fleetd) -> None:
    pools = {form: shell(COUNTING, log={"format": form}, numprocs=2) for form in ("raw", "prefix", "json")}
    fleetd.configure(pools)
    fleetd.start()
    pids = {pool: fleetd.pids(pool) for pool in pools}
    chance = random.Random(7)
    for _ in range(ROUNDS):
        for _ in samples(seconds=chance.uniform(0.05, 0.4), every=0.1):
            pass
        kill_daemon(fleetd)
        for _ in samples(seconds=chance.uniform(0.0, 0.3), every=0.1):
            pass
        fleetd.start()
        assert {pool: fleetd.pids(pool) for pool in pools} == pids
    fleetd.run("stop", *pools)
    for slot in (0, 1):
        raw = numbers_in(fleetd.log_directory / f"raw-{slot}.log")
        assert raw == list(range(1, len(raw) + 1)), "raw: each line once, in order"
        for form in ("prefix", "json"):
            found = numbers_in(fleetd.log_directory / f"{form}-{slot}.log")
            assert set(found) == set(range(1, max(found) + 1)), f"{form}: none is missing"
        assert len(raw) > 200
    assert not fleetd.events("worker.started")


@pytest.mark.parametrize("source", ["socket", "lines", "lines in json"])
def test_jobs_are_counted_exactly(fleetd: Fleetd, source: str) -> None:
    if source == "socket":
        fleetd.configure({"media": python(JOBS, str(fleetd.directory), numprocs=2)})
    else:
        form = "json" if source.endswith("json") else "raw"
        pool = python(LINES, str(fleetd.directory), numprocs=2, framework="lines", log={"format": form})
        fleetd.configure({"media": pool}, framework=BY_LINES)
    fleetd.start()
    pids = fleetd.pids("media")
    chance = random.Random(11)
    for _ in range(ROUNDS):
        for _ in samples(seconds=chance.uniform(0.05, 0.5), every=0.1):
            pass
        kill_daemon(fleetd)
        for _ in samples(seconds=chance.uniform(0.0, 0.3), every=0.1):
            pass
        fleetd.start()
    assert fleetd.pids("media") == pids
    fleetd.run("stop", "media", timeout=60)
    names = ("jobs" if source == "socket" else "lines") + "-{}"
    counted = sum((fleetd.directory / names.format(slot)).stat().st_size for slot in (0, 1))
    jobs = fleetd.pool("media")["jobs"]
    assert counted > 200
    repeated = 0
    if source == "lines in json":  # a kill between a write and the taking repeats a chunk, in the log and in the counts
        told = [line for slot in (0, 1) for line in ends_in(fleetd.log_directory / f"media-{slot}.log")]
        repeated = len(told) - len(set(told))
    assert (jobs["done"], jobs["failed"]) == (counted + repeated, 0)


def ends_in(log: Path) -> list[tuple[str, str]]:
    """Of a log in JSON, each line that tells of the end of a job, with its worker."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [(line["worker"], line["line"]) for line in lines if line["line"].startswith("done job-")]


FLOOD = """
import os
lines = b"".join(b"start job-%d\\ndone job-%d\\n" % (n, n) for n in range(1000))
while True:
    os.write(1, lines)
"""


def test_a_flood_of_jobs_does_not_put_off_what_is_written_down(fleetd: Fleetd) -> None:
    """Else the next daemon knows of nothing that happened since, tells exits again, and no message is acknowledged."""
    pool = python(FLOOD, numprocs=2, framework="lines", log={"format": "raw", "keep": 1, "max-size": "8MiB"})
    fleetd.configure({"media": pool}, framework=BY_LINES)
    fleetd.start()
    journal = fleetd.directory / "runtime" / fleetd.name / "runs.journal"
    for _ in range(5):
        written = journal.stat().st_mtime_ns
        wait_for(lambda then=written: journal.stat().st_mtime_ns != then, "the journal to be written")
        assert fleetd.pool("media")["jobs"]["done"] > 0
    fleetd.run("stop", "--now", timeout=100)  # what stands in the pipes is counted first: 80,000 jobs


def test_what_ended_meanwhile_is_explained(fleetd: Fleetd) -> None:
    leave = "until [ -e leave-$FLEETD_SLOT ]; do sleep 0.02; done; echo last words of $FLEETD_SLOT; "
    ending = shell(leave + "case $FLEETD_SLOT in 0) exit 7;; 1) exit 0;; 2) kill -9 $$;; esac", numprocs=3,
                   directory=str(fleetd.directory), backoff={"first": "50ms"})  # fmt: skip
    fleetd.configure({"media": ending, "calm": SLEEPING})
    fleetd.start()
    pids, calm = fleetd.pids("media"), fleetd.pids("calm")
    kill_daemon(fleetd)
    for slot in (0, 1, 2):
        (fleetd.directory / f"leave-{slot}").touch()
    wait_for(lambda: not identities(list(pids.values())), "the workers to end while nobody looks")
    for slot in (0, 1, 2):
        (fleetd.directory / f"leave-{slot}").unlink()
    fleetd.run("start", "--detach")
    assert fleetd.pids("calm") == calm
    exits = {event["worker"]: event["fields"] for event in fleetd.events("worker.exited")}
    told = {worker: (e["code"], e["signal"], e["planned"], e["reason"]) for worker, e in exits.items()}
    assert told == {
        "media:0": (7, None, False, "exit"),
        "media:1": (0, None, True, "exit"),
        "media:2": (None, 9, False, "signal"),
    }
    assert exits["media:0"]["lines"][-1] == "last words of 0"
    wait_for(lambda: len(fleetd.pids("media")) == 3, "their successors")
    assert not set(fleetd.pids("media").values()) & set(pids.values())


def test_a_job_whose_process_ended_meanwhile_is_given_back(fleetd: Fleetd) -> None:
    fleetd.configure({"media": python(CHILDREN, directory=str(fleetd.directory))})
    fleetd.start()
    pids = fleetd.pids("media")

    def in_hand() -> int:
        return int(fleetd.pool("media")["workers"][0]["jobs_in_hand"] or 0)

    wait_for(lambda: in_hand() == 2, "a job of each child")
    kill_daemon(fleetd)
    os.kill(int((fleetd.directory / "first").read_text()), 9)
    fleetd.start()
    wait_for(lambda: in_hand() == 1, "the first to be given back")
    os.kill(int((fleetd.directory / "second").read_text()), 9)
    wait_for(lambda: in_hand() == 0, "the second to be given back")
    assert [event["fields"]["name"] for event in fleetd.events("job.interrupted")] == ["first", "second"]
    assert fleetd.pids("media") == pids


def test_a_stop_that_was_pending_stays_and_ends(fleetd: Fleetd, let_go: Path) -> None:
    fleetd.configure({"media": stubborn(str(let_go), numprocs=2), "calm": SLEEPING})
    fleetd.start()
    old = fleetd.pids("media")
    fleetd.run("stop", "media", "--no-wait")
    wait_for(lambda: not fleetd.pids("media"), "the drain to begin")
    kill_daemon(fleetd)
    fleetd.start()
    workers = fleetd.pool("media")["workers"]
    assert {worker["name"]: worker["pid"] for worker in workers} == old, "a job in hand is left alone"
    assert {worker["state"] for worker in workers} == {"stopping"}
    for pid in old.values():
        (let_go / f"leave-{pid}").touch()
    wait_for(lambda: fleetd.pool("media")["state"] == "stopped", "the stop")
    assert {event["fields"]["reason"] for event in fleetd.events("worker.exited")} == {"stop"}


def test_a_stop_timeout_holds_under_a_new_daemon(fleetd: Fleetd) -> None:
    fleetd.configure({"media": shell("trap '' TERM; while :; do sleep 1; done", stop_timeout="2s")})
    fleetd.start()
    fleetd.run("stop", "media", "--no-wait")
    wait_for(lambda: not fleetd.pids("media"), "the drain to begin")
    kill_daemon(fleetd)
    fleetd.start()
    wait_for(lambda: fleetd.pool("media")["state"] == "stopped", "the kill after the stop timeout")


def count_by_slot(fleetd: Fleetd) -> Counter[str]:
    """How many main processes of workers live, by worker: each leads a session, and what it forks does not."""
    leaders = (process for process in fleetd.processes() if _leads_session(process.pid))
    workers = (process.info["environ"].get("FLEETD_WORKER") for process in leaders)
    return Counter(worker for worker in workers if worker)


def _leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


@pytest.mark.parametrize("pause", [0.0, 0.1, 0.2, 0.35])
def test_a_daemon_that_is_killed_during_a_rolling_restart(fleetd: Fleetd, pause: float) -> None:
    """No slot is doubled or empty, and the new daemon ends what was begun."""
    fleetd.configure({"media": {**SLEEPING, "numprocs": 6}})
    fleetd.start()
    old = fleetd.pids("media")
    fleetd.run("restart", "--no-wait")
    for _ in samples(seconds=pause, every=0.05):
        pass
    kill_daemon(fleetd)
    assert max(count_by_slot(fleetd).values()) <= 2
    fleetd.start()
    wait_for(lambda: not set(fleetd.pids("media").values()) & set(old.values()), "every slot to be rolled")
    wait_for(lambda: len(fleetd.pool("media")["workers"]) == 6, "the old ones to be gone")
    assert set(count_by_slot(fleetd).values()) == {1}
    assert len(fleetd.pids("media")) == 6
    fleetd.run("restart", timeout=30)
    assert len(fleetd.pids("media")) == 6


def test_workers_that_were_just_being_started_are_neither_lost_nor_doubled(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 40}})
    for _ in range(3):
        fleetd.run("start", "--detach", "--no-wait")
        kill_daemon(fleetd)
    fleetd.start()
    assert len(fleetd.pids("media")) == 40
    counted = count_by_slot(fleetd)
    assert (len(counted), set(counted.values())) == (40, {1})


def test_a_slot_that_came_back_after_scaling_is_counted_on_from_where_it_was(fleetd: Fleetd) -> None:
    """What is kept of a slot's log goes with the slot: what its earlier runs wrote must not be read again."""
    pool = python(LINES, str(fleetd.directory), numprocs=2, framework="lines", log={"format": "raw"})
    fleetd.configure({"media": pool}, framework=BY_LINES)
    fleetd.start()
    for _ in range(2):
        before = fleetd.pool("media")["jobs"]["done"]
        wait_for(lambda before=before: fleetd.pool("media")["jobs"]["done"] > before + 50, "jobs")
        fleetd.run("scale", "media=1")
        fleetd.run("scale", "media=2")
        kill_daemon(fleetd)
        fleetd.start()
    fleetd.run("stop", "media", timeout=60)
    counted = sum((fleetd.directory / f"lines-{slot}").stat().st_size for slot in (0, 1))
    assert fleetd.pool("media")["jobs"]["done"] == counted


def test_what_was_left_uncounted_is_written_down_slot_by_slot(fleetd: Fleetd) -> None:
    """So that daemons which are killed before they are through with it get on all the same."""
    fleetd.configure({"media": python(MANY_AND_QUIET, framework="lines", numprocs=3)}, framework=BY_LINES)
    fleetd.start()
    wait_for(lambda: fleetd.pool("media")["jobs"]["done"] == 6000, "6000 jobs")
    kill_daemon(fleetd)
    (path,) = fleetd.directory.glob("**/runs.journal")
    journal = Journal(path, boot_id())
    journal.open()
    journal.write(News(scanned={f"media:{slot}": 0 for slot in range(3)}))
    journal.close()
    fleetd.start()
    wait_for(lambda: fleetd.pool("media")["jobs"]["done"] == 12000, "the same lines to be read again")
    lines = [json.loads(line.partition(" ")[2]) for line in path.read_text().splitlines()[2:]]
    noted = [line["news"]["scanned"].keys() for line in lines if line.get("news", {}).get("scanned")]
    assert noted == [{"media:0"}, {"media:1"}, {"media:2"}]
