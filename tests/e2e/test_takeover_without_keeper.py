"""P3 without the keeper: killed alone, or with the daemon, at any instant, it takes no worker with it."""

from __future__ import annotations

import json
import random
import shutil
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fleetd.shell.journal import Line, _framed, boot_id
from tests.e2e.test_takeover import BY_LINES, COUNTING, JOBS, LINES, count_by_slot, numbers_in
from tests.support.crash import keeper_of, keepers_of, kill_daemon
from tests.support.fleetd_cli import Fleetd, kill
from tests.support.process_world import alive
from tests.support.waiting import samples, wait_for
from tests.support.worker_pools import SLEEPING, python, ready_shell, shell

pytestmark = pytest.mark.process

ROUNDS = 4

# Does one job and ends, and writes down which run did.
BRIEF = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1] + "/runs", "ab", buffering=0) as runs:
    runs.write(os.environ["FLEETD_RUN"].encode() + b"\\n")
daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
daemon.connect(os.environ["NOTIFY_SOCKET"])
for what in ("started", "done"):
    daemon.send(b"X_FLEETD_JOB=%s\\nX_FLEETD_JOB_ID=only" % what.encode())
"""


def kill_keeper(fleetd: Fleetd) -> None:
    keeper = keeper_of(fleetd)
    kill(keeper)
    wait_for(lambda: not alive(keeper), "the killed keeper to be gone")


def has_a_child(pids: list[int]) -> bool:
    """Whether one of these has: a keeper in its own birth has none (its loss is answered by ever longer waits)."""
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).children():
                return True
    return False


def kill_both(fleetd: Fleetd, chance: random.Random) -> None:
    """In either order, and at once."""
    daemon, keeper = fleetd.status()["pid"], keeper_of(fleetd)
    for pid in chance.sample((daemon, keeper), 2):
        kill(pid)
    wait_for(lambda: not alive(daemon) and not alive(keeper), "both to be gone")
    for _ in samples(seconds=chance.uniform(0.0, 0.3), every=0.1):
        pass


def test_the_keeper_alone(fleetd: Fleetd) -> None:
    pools = {form: shell(COUNTING, log={"format": form}, numprocs=2) for form in ("raw", "json")}
    pools["media"] = python(JOBS, str(fleetd.directory), numprocs=2)
    fleetd.configure(pools)
    fleetd.start()
    pids = {pool: fleetd.pids(pool) for pool in pools}
    for _ in range(ROUNDS):
        kill_keeper(fleetd)
        wait_for(lambda: keepers_of(fleetd), "another one")
        assert {pool: fleetd.pids(pool) for pool in pools} == pids
    end_and_count(fleetd)
    assert {event["fields"]["reason"] for event in fleetd.events("worker.exited")} == {"stop"}


def test_the_keeper_and_the_daemon(fleetd: Fleetd) -> None:
    pools = {form: shell(COUNTING, log={"format": form}, numprocs=2) for form in ("raw", "json")}
    pools["media"] = python(JOBS, str(fleetd.directory), numprocs=2)
    fleetd.configure(pools)
    fleetd.start()
    pids = {pool: fleetd.pids(pool) for pool in pools}
    chance = random.Random(5)
    for _ in range(ROUNDS):
        kill_both(fleetd, chance)
        fleetd.start()
        assert {pool: fleetd.pids(pool) for pool in pools} == pids
    assert set(count_by_slot(fleetd).values()) == {1}
    end_and_count(fleetd)
    assert not fleetd.events("worker.started")


def end_and_count(fleetd: Fleetd) -> None:
    """Every line is in the logs once, and every job is counted once."""
    logs = [fleetd.log_directory / f"raw-{slot}.log" for slot in (0, 1)]
    wait_for(lambda: all(len(numbers_in(log)) > 200 for log in logs), "lines enough", every=0.2)
    fleetd.run("stop", "raw", "json", "media", timeout=60)
    for slot in (0, 1):
        raw = numbers_in(fleetd.log_directory / f"raw-{slot}.log")
        assert raw == list(range(1, len(raw) + 1)), "raw: each line once, in order"
        found = numbers_in(fleetd.log_directory / f"json-{slot}.log")
        assert set(found) == set(range(1, max(found) + 1)), "json: none is missing"
        assert len(raw) > 200
    done = sum((fleetd.directory / f"jobs-{slot}").stat().st_size for slot in (0, 1))
    jobs = fleetd.pool("media")["jobs"]
    assert (jobs["done"], jobs["failed"]) == (done, 0)


def test_jobs_in_lines_are_counted_exactly(fleetd: Fleetd) -> None:
    pool = python(LINES, str(fleetd.directory), numprocs=2, framework="lines", log={"format": "raw"})
    fleetd.configure({"media": pool}, framework=BY_LINES)
    fleetd.start()
    pids = fleetd.pids("media")
    chance = random.Random(6)
    for _ in range(ROUNDS):
        kill_both(fleetd, chance)
        fleetd.start()
    assert fleetd.pids("media") == pids
    fleetd.run("stop", "media", timeout=60)
    counted = sum((fleetd.directory / f"lines-{slot}").stat().st_size for slot in (0, 1))
    assert fleetd.pool("media")["jobs"]["done"] == counted


def test_a_keeper_that_is_killed_while_workers_are_started(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 40}})
    for moment in (0.0, 0.02, 0.05):
        fleetd.run("start", "--detach", "--no-wait")
        for _ in samples(seconds=moment, every=0.01):
            pass
        kill_keeper(fleetd)
        wait_for(lambda: len(fleetd.pids("media")) == 40, "all to be healthy")
        counted = count_by_slot(fleetd)
        assert (len(counted), set(counted.values())) == (40, {1})
        assert not fleetd.events("worker.start_failed")
        fleetd.run("stop")


def test_one_that_wrote_and_told_before_the_keeper_could_is_told_of_and_not_started_twice(fleetd: Fleetd) -> None:
    """The keeper is killed at the birth of workers that end at once."""
    brief = python(BRIEF, str(fleetd.directory), numprocs=4, backoff={"first": "10ms", "max": "10ms"})
    fleetd.configure({"media": brief}, daemon={"log-format": "json"})
    fleetd.run("start", "--detach", "--no-wait")
    for _ in range(12):
        wait_for(lambda: has_a_child(keepers_of(fleetd)), "a keeper with a worker", every=0.005)
        kill_keeper(fleetd)
    fleetd.run("stop", "media")
    runs = (fleetd.directory / "runs").read_text().split()
    assert len(runs) == len(set(runs)), "a run was started twice"
    assert fleetd.pool("media")["jobs"]["done"] == len(runs)
    log = (fleetd.log_directory / "fleetd.log").read_text()  # of so many events the daemon keeps only the last
    told = [json.loads(line) for line in log[: log.rfind("\n") + 1].splitlines() if line.startswith("{")]
    assert set(runs) <= {each["run"] for each in told if each.get("kind") == "worker.exited"}


def test_keepers_that_end_as_they_start_are_followed_by_others(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    before = fleetd.pids("media")
    killed: set[int] = set()  # they are seen for a moment longer

    def others() -> list[int]:
        return [keeper for keeper in keepers_of(fleetd) if keeper not in killed]

    for _ in range(3):
        killed |= {keeper for keeper in wait_for(others, "a keeper", every=0.002) if kill(keeper)}
    wait_for(lambda: fleetd.events("worker.started") and others(), "a keeper that stays")
    assert fleetd.pids("media") == before
    fleetd.run("restart", "--local", "--now", timeout=60)
    assert not set(before.values()) & set(fleetd.pids("media").values())


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.25])
def test_a_keeper_that_is_killed_during_a_rolling_restart_halts_nothing(fleetd: Fleetd, moment: float) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 6}})
    fleetd.start()
    old = set(fleetd.pids("media").values())
    rolling = fleetd.popen("restart", "--local")
    for _ in samples(seconds=moment, every=0.05):
        pass
    kill_keeper(fleetd)
    assert rolling.wait(30) == 0
    assert not old & set(fleetd.pids("media").values())
    wait_for(lambda: set(count_by_slot(fleetd).values()) == {1}, "the old ones to be gone")
    assert len(fleetd.pids("media")) == 6


def test_a_keeper_whose_socket_was_removed_gives_its_workers_up(fleetd: Fleetd) -> None:
    """A cleaner of temporary files took the whole runtime directory while no daemon was there."""
    fleetd.configure({"media": shell(COUNTING, numprocs=2, log={"format": "raw"})})
    fleetd.start()
    pids = fleetd.pids("media")
    kill_daemon(fleetd)
    before = keeper_of(fleetd)
    shutil.rmtree(fleetd.directory / "runtime" / "test")
    fleetd.start()
    assert fleetd.pids("media") == pids
    assert set(count_by_slot(fleetd).values()) == {1}
    wait_for(lambda: not alive(before), "the keeper that nobody can reach to end")
    fleetd.run("stop", "media")
    for slot in (0, 1):
        raw = numbers_in(fleetd.log_directory / f"media-{slot}.log")
        assert raw == list(range(1, len(raw) + 1))


def test_both_are_killed_while_workers_are_started(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 40}})
    chance = random.Random(3)
    for _ in range(3):
        fleetd.run("start", "--detach", "--no-wait")
        kill_both(fleetd, chance)
    fleetd.start()
    assert len(fleetd.pids("media")) == 40
    counted = count_by_slot(fleetd)
    assert (len(counted), set(counted.values())) == (40, {1})


def test_what_ended_meanwhile_is_told_though_not_how(fleetd: Fleetd) -> None:
    """An exit that nobody saw is planned only if the worker was to end (P1)."""
    once = {"restart": "never"}
    fleetd.configure({"ends": {**SLEEPING, **once, "numprocs": 2}, "calm": SLEEPING})
    fleetd.start()
    ends, calm = fleetd.pids("ends"), fleetd.pids("calm")
    kill_both(fleetd, random.Random(1))
    for pid in ends.values():
        kill(pid)
    gone = [Path(f"/proc/{pid}") for pid in ends.values()]  # of a zombie it can still be told
    wait_for(lambda: not any(path.exists() for path in gone), "the workers to end while nobody looks")
    fleetd.run("start", "--detach", code=None)
    assert fleetd.pids("calm") == calm
    told = [event["fields"] for event in fleetd.exits(2)]
    assert [(each["code"], each["signal"], each["planned"]) for each in told] == [(None, None, False)] * 2
    assert not fleetd.pids("ends"), "it is not started again"


@pytest.mark.parametrize("damage", ["missing", "empty", "cut off", "rubbish", "one bit", "newer", "another boot"])
@pytest.mark.parametrize("with_keeper", [True, False], ids=["keeper", "no keeper"])
def test_whatever_became_of_the_journal_nothing_is_doubled(fleetd: Fleetd, damage: str, with_keeper: bool) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 3}, "idle": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    fleetd.run("stop", "idle:0")
    pids = {pool: fleetd.pids(pool) for pool in ("media", "idle")}
    if with_keeper:
        kill_daemon(fleetd)
    else:
        kill_both(fleetd, random.Random(2))
    spoil(fleetd.directory / "runtime" / "test" / "runs.journal", damage)
    fleetd.start()
    assert {pool: fleetd.pids(pool) for pool in pids} == pids
    assert count_by_slot(fleetd) == {"media:0": 1, "media:1": 1, "media:2": 1, "idle:1": 1}
    log = fleetd.daemon_log()
    if damage in {"rubbish", "one bit", "newer"}:
        assert "runs.journal: " in log
        assert "(kept as runs.damaged)" in log
    fleetd.run("restart", "--local", timeout=30)
    assert len(fleetd.pids("media")) == 3


def spoil(journal: Path, damage: str) -> None:
    whole = journal.read_bytes()
    _, rest = whole.split(b"\n", 1)
    match damage:
        case "missing":
            journal.unlink()
        case "empty":
            journal.write_bytes(b"")
        case "cut off":
            journal.write_bytes(whole[: len(whole) // 2])
        case "rubbish":
            journal.write_bytes(bytes(random.Random(1).randbytes(4096)))
        case "one bit":
            place = len(whole) // 2
            journal.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        case "newer":
            journal.write_bytes(_framed(Line(boot=boot_id(), version=99)) + rest)
        case _:
            journal.write_bytes(_framed(Line(boot="another")) + rest)
    assert journal.exists() == (damage != "missing")


def test_more_workers_than_descriptors_at_the_start_are_taken_over(fleetd: Fleetd) -> None:
    """Under the usual soft limit of a unit, with more workers than it lets a process hold descriptors of."""
    fleetd.inside = ("prlimit", "--nofile=100:1000")
    fleetd.configure({"media": {**SLEEPING, "numprocs": 40}})
    fleetd.start()
    pids = fleetd.pids("media")
    kill_daemon(fleetd)
    fleetd.start()
    assert fleetd.pids("media") == pids
    fleetd.run("upgrade")
    assert fleetd.pids("media") == pids
    kill_both(fleetd, random.Random(4))
    fleetd.start()
    assert fleetd.pids("media") == pids


def test_one_that_is_to_end_before_it_is_known_to_live_is_told_so(fleetd: Fleetd) -> None:
    """Else it would work on until it is killed after its stop timeout."""
    obeys = shell("trap 'exit 0' TERM; while :; do sleep 0.05; done", numprocs=40, stop_timeout="60s", nice=1)
    fleetd.configure({"media": obeys})
    fleetd.run("start", "--detach", "--no-wait")
    fleetd.run("stop", "media", "--no-wait")
    kill_daemon(fleetd)
    fleetd.start()
    wait_for(lambda: fleetd.pool("media")["state"] == "stopped", "all to end", within=50)


def test_a_worker_whose_output_cannot_be_had_is_ended_and_replaced(fleetd: Fleetd) -> None:
    fleetd.configure({"media": ready_shell("exec 2>/dev/null; echo ready; exec sleep 1000")})
    fleetd.start()
    (pid,) = fleetd.pids("media").values()
    kill_both(fleetd, random.Random(8))
    spoil(fleetd.directory / "runtime" / "test" / "runs.journal", "rubbish")
    fleetd.run("start", "--detach", code=None)
    wait_for(lambda: not alive(pid), "its end")
    wait_for(lambda: len(fleetd.pids("media")) == 1, "its successor")
    assert count_by_slot(fleetd) == {"media:0": 1}
    assert "is ended, as its output cannot be read" in fleetd.daemon_log()
