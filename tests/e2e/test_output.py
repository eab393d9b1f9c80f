"""P9, P3: where output goes, in whichever format, and what a daemon suffers for it."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.crash import kill_daemon
from tests.support.fleetd_cli import COMMAND, Fleetd
from tests.support.ordinary_user import BECOME
from tests.support.requirement import need
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, python, shell

pytestmark = pytest.mark.process

COUNTING = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.005; done"
TICK = re.compile(r"\d{4}-\d\d-\d\dT\S+ media:0 line (\d+)")
AWKWARD = r"""
import os, subprocess, sys
os.write(1, b"\xff\xfe \x1b[31mred\x1b[0m \0 nul\n")
for _ in range(10):
    os.write(1, b"x" * 1_000_000)
os.write(1, b"\nthe last line")
subprocess.Popen(["sleep", "1000"])  # holds the pipe
os.close(1), os.close(2)
import time
time.sleep(1000)
"""
FLOOD = "import os\nchunk = b''.join(b'%099d\\n' % n for n in range(655))\nwhile True: os.write(1, chunk)"
FULL = 400 * 1024  # bytes of the file system that is full


# -- formats and targets -----------------------------------------------------------------------------------------------


def test_logs_in_json_read_as_others_do(fleetd: Fleetd) -> None:
    fleetd.configure(
        {"media": shell(COUNTING, log={"format": "json", "max-size": 4096, "keep": 1000, "compress": True})}
    )
    fleetd.start()
    follower = fleetd.popen("logs", "-f", "-n", "1")
    assert follower.stdout is not None
    followed = [follower.stdout.readline().rstrip("\n")]
    wait_for(lambda: len(list(fleetd.log_directory.glob("*.gz"))) >= 2, "two compressed logs")
    followed += [follower.stdout.readline().rstrip("\n") for _ in range(60)]
    follower.kill()
    numbers = [int(found[1]) for found in map(TICK.fullmatch, followed) if found]
    assert numbers == list(range(numbers[0], numbers[0] + 61)), "each line once, over rotation"

    wait_for(lambda: len(fleetd.run("logs", "-n", "121").stdout.splitlines()) > 120, "more than 120 lines")
    shown = fleetd.run("logs", "-n", "120").stdout.splitlines()
    numbers = [int(found[1]) for found in map(TICK.fullmatch, shown) if found]
    assert numbers == list(range(numbers[0], numbers[0] + 120)), "over compressed predecessors"
    assert len(fleetd.run("logs", "--since", "1h").stdout.splitlines()) > numbers[-1] - 5

    fleetd.run("stop", "media")  # or a file would be moved on while it is read
    for line in (fleetd.log_directory / "media-0.log").read_text().splitlines():
        values = json.loads(line)
        assert values["worker"] == "media:0"
    parts = [gzip.decompress(part.read_bytes()) for part in fleetd.log_directory.glob("*.gz")]
    packed = [json.loads(line) for part in parts for line in part.splitlines()]
    assert {each["worker"] for each in packed} == {"media:0"}


def test_a_container_finds_output_on_its_standard_output(fleetd: Fleetd) -> None:
    pools = {
        form: shell(COUNTING.replace("line", form), numprocs=2, log={"to": "stdout", "format": form})
        for form in ("raw", "prefix", "json")
    }
    fleetd.configure(pools)
    daemon = subprocess.Popen(
        [str(COMMAND), "start", "-c", str(fleetd.file)],
        env=fleetd._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert daemon.stdout is not None
    lines = [daemon.stdout.readline() for _ in range(300)]
    while "prefix:0 prefix" not in lines[-1]:
        lines.append(daemon.stdout.readline())
        assert lines[-1], "the daemon has ended"
    assert "prefix:0 prefix" in fleetd.run("logs", "prefix").stdout, "the daemon has them in memory"
    stopping = fleetd.popen("stop")
    lines += daemon.stdout.readlines()
    daemon.stdout.close()
    assert (stopping.wait(20), daemon.wait(20)) == (0, 0)
    patterns = {
        "raw": r"raw (?P<n>\d+)",
        "prefix": r"\d{4}-\S+ (?P<w>prefix:[01]) prefix (?P<n>\d+)",
        "json": r'\{"at": "\d{4}-\S+", "worker": "(?P<w>json:[01])", "line": "json (?P<n>\d+)"\}',
    }
    found = [match for line in lines for form in patterns.values() if (match := re.fullmatch(form + "\n", line))]
    assert len(found) == len(lines) > 300, "whole lines only"
    for worker in ("prefix:0", "prefix:1", "json:0", "json:1"):
        numbers = [int(match["n"]) for match in found if match.groupdict().get("w") == worker]
        assert numbers == list(range(1, len(numbers) + 1))
    assert not list(fleetd.log_directory.glob("*.log"))


def test_a_container_whose_output_nobody_reads_works_on(fleetd: Fleetd) -> None:
    """Not even the daemon's own messages are waited for."""
    fleetd.configure({"flood": python(FLOOD, log={"to": "stdout"}), "media": shell(COUNTING)})
    reader, writer = os.pipe()
    daemon = subprocess.Popen(
        [str(COMMAND), "start", "-c", str(fleetd.file)],
        env=fleetd._environment(), stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
    )  # fmt: skip
    os.close(writer)
    try:
        wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "the pools to be healthy")
        wait_for(lambda: fleetd.events("output.dropped"), "the bound to pass", every=0.3)
        wait_for(lambda: fleetd.pool("flood")["workers"][0]["output_dropped"] > 2 * 10**6, "the flood to go on")
        before = fleetd.run("logs", "media", "-n", "1").stdout
        wait_for(lambda: fleetd.run("logs", "media", "-n", "1").stdout != before, "the other pool to go on")
        (event,) = fleetd.events("output.dropped")
        assert event["fields"]["error"] == "standard output: nobody reads standard output"
        fleetd.run("stop", "flood", "media", timeout=20)
        fleetd.run("stop", timeout=20)
        assert daemon.wait(10) == 0
    finally:
        os.close(reader)
        daemon.kill()
        daemon.wait(10)


def test_an_absent_journal_is_told_and_holds_nobody_up(fleetd: Fleetd) -> None:
    need(not Path("/run/systemd/journal/socket").exists(), "a machine without systemd's journal, for this one")
    fleetd.configure({"media": shell(COUNTING, log={"to": "journal"})})
    fleetd.start()
    wait_for(lambda: fleetd.pool("media")["workers"][0]["output_dropped"] > 100, "lines to be dropped")
    (event,) = fleetd.events("output.dropped")
    assert event["fields"]["error"].startswith("the systemd journal: No such file")
    assert "media:0 line" in fleetd.run("logs").stdout


def test_followers_are_told_what_they_miss(fleetd: Fleetd) -> None:
    burst = "echo ready; until [ -e go ]; do sleep 0.05; done; seq 5000; exec sleep 1000"
    pool = shell(burst, directory=str(fleetd.directory), log={"to": "none"})
    fleetd.configure({"media": pool, "calm": SLEEPING})
    fleetd.start()
    follower = fleetd.popen("logs", "media", "-f")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "media:0 ready\n", "what it follows from"
    (fleetd.directory / "go").touch()
    lines: list[str] = []
    while not lines or lines[-1] != "media:0 5000":
        lines.append(follower.stdout.readline().rstrip("\n"))
    follower.kill()
    notes = [int(found[1]) for line in lines if (found := re.fullmatch(r"media:0 \((\d+) lines not shown\)", line))]
    assert notes
    assert sum(notes) + len(lines) - len(notes) == 5000


# -- nuisances ---------------------------------------------------------------------------------------------------------


def test_awkward_workers_in_every_format_and_target(fleetd: Fleetd) -> None:
    """Bytes that are no text, an endless line, a closed pipe that a grandchild holds: in bounded memory."""
    logs = {form: {"format": form} for form in ("raw", "prefix", "json")} | {
        target: {"to": target} for target in ("none", "stdout", "journal")
    }
    fleetd.configure({name: python(AWKWARD, log=log, numprocs=2) for name, log in logs.items()} | {"media": SLEEPING})
    fleetd.run("start", "--detach", "--no-wait")
    process = psutil.Process(fleetd.status()["pid"])
    at_first = process.memory_info().rss
    for name in logs:
        last = re.compile(rf"{name}:[01] the last line$", re.MULTILINE)
        wait_for(lambda name=name, last=last: len(last.findall(fleetd.run("logs", name, "-n", "1").stdout)) == 2,
                 f"the last lines of {name}")  # fmt: skip
    assert process.memory_info().rss - at_first < 40 * 2**20
    assert fleetd.pids("media")
    raw = (fleetd.log_directory / "raw-0.log").read_bytes()
    assert len(raw) == len(b"\xff\xfe \x1b[31mred\x1b[0m \0 nul\n") + 10_000_000 + len(b"\nthe last line")
    for line in (fleetd.log_directory / "json-0.log").read_bytes().splitlines():
        json.loads(line.decode())
    fleetd.run("stop", "--now", timeout=30)


def test_the_last_lines_of_hundreds_of_workers_that_are_told_to_stop(fleetd: Fleetd) -> None:
    script = (
        "trap 'echo \"last of $FLEETD_WORKER\"; exit 0' TERM; while :; do echo some line; sleep 0.5 & wait $!; done"
    )
    pools = {form: shell(script, numprocs=150, log={"format": form}) for form in ("raw", "json")}
    fleetd.configure(pools)
    fleetd.start(timeout=100)

    def written() -> list[Path]:
        return [log for log in fleetd.log_directory.glob("*-*.log") if log.stat().st_size]

    wait_for(lambda: len(written()) == 300, "each to have set its trap, and to have said something", every=0.2)
    fleetd.run("stop", timeout=60)
    logs = written()
    assert len(logs) == 300
    for log in logs:
        pool, _, slot = log.stem.rpartition("-")
        assert f"last of {pool}:{slot}" in log.read_text().splitlines()[-1]


# -- logs that cannot be written ---------------------------------------------------------------------------------------


def test_a_log_that_cannot_be_written_is_told_once_and_when_it_is_over(fleetd: Fleetd) -> None:
    fleetd.configure({form: shell(COUNTING, log={"format": form}) for form in ("raw", "prefix", "json")})
    for form in ("raw", "json"):
        (fleetd.log_directory / f"{form}-0.log").mkdir(parents=True)
        fleetd.log_directory.chmod(0o755)
    fleetd.start()
    for form in ("raw", "json"):
        wait_for(lambda form=form: fleetd.pool(form)["workers"][0]["output_dropped"] > 200, "lines to be dropped")
    assert sorted(event["worker"] for event in fleetd.events("output.dropped")) == ["json:0", "raw:0"]
    assert fleetd.pool("prefix")["workers"][0]["output_dropped"] == 0
    for form in ("raw", "json"):
        (fleetd.log_directory / f"{form}-0.log").rmdir()
    wait_for(lambda: len(fleetd.events("output.kept")) == 2, "both to be written again", every=0.2)
    assert len(fleetd.events("output.dropped")) == 2


@pytest.fixture
def full_disk(fleetd: Fleetd) -> Iterator[Path]:
    """A small file system that holds all that the instance writes; it has no room left once `ballast` is in it."""
    disk = fleetd.directory / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FULL},mode=755", "none", str(disk)]
    need(subprocess.run(mount, capture_output=True, check=False).returncode == 0, "mounting a tmpfs")
    yield disk
    fleetd.end()
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return ballast


def content(log: Path) -> bytes:
    """What is in a log; nothing while it has just become its own predecessor."""
    try:
        return log.read_bytes()
    except FileNotFoundError:
        return b""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_hurts_nobody(fleetd: Fleetd, full_disk: Path) -> None:
    """Logs, fleetd.log, the state and the journal of runs are on it; a daemon is killed and started there, too."""
    places = {f"{kind}-directory": str(full_disk / kind) for kind in ("runtime", "state", "log")}
    keeper_log = full_disk / "runtime" / "test" / "keeper.log"
    pools = {form: shell(COUNTING, log={"format": form, "max-size": 8192, "keep": 2}) for form in ("raw", "json")}
    fleetd.configure({**pools, "media": {**SLEEPING, "numprocs": 3}}, daemon=places)
    fleetd.start()
    log = full_disk / "log" / "test" / "raw-0.log"
    wait_for(log.exists, "a log")
    ballast = fill(full_disk)
    for form in pools:
        wait_for(lambda form=form: fleetd.pool(form)["workers"][0]["output_dropped"] > 100, "lines to be dropped")
    pids = fleetd.pids("media")
    os.kill(pids["media:1"], 9)
    wait_for(lambda: fleetd.pids("media").get("media:1") not in {None, pids["media:1"]}, "its successor")
    fleetd.run("scale", "media=4", timeout=20)
    fleetd.run("stop", "media:0", timeout=20)
    pids = {worker: pid for pool in ("media", *pools) for worker, pid in fleetd.pids(pool).items()}

    kill_daemon(fleetd)
    fleetd.start()
    found = {worker: pid for pool in ("media", *pools) for worker, pid in fleetd.pids(pool).items()}
    same = {"media:1", "media:2", "raw:0", "json:0"}
    assert {worker: found[worker] for worker in same} == {worker: pids[worker] for worker in same}, "taken over"
    for form in pools:
        wait_for(lambda form=form: fleetd.pool(form)["workers"][0]["output_dropped"] > 100, "lines to be dropped")

    ballast.unlink()
    wait_for(lambda: len(fleetd.events("output.kept")) >= 2, "the logs to be written again", every=0.2)
    wait_for(lambda: (written := content(log)) and b"\0" not in written, "whole lines")
    fleetd.run("stop", "media:0")
    kill_daemon(fleetd)
    fleetd.start()
    assert fleetd.pids("media").keys() == {"media:1", "media:2"}, "from now on it is remembered"
    assert keeper_log.exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has pools of other users")
def test_users_read_the_logs_of_their_own_pools_and_no_others(fleetd: Fleetd) -> None:
    fleetd.directory.chmod(0o755)
    pool = shell("echo hello; exec sleep 1000", user="nobody", directory="/", log={"max-size": 4096, "compress": True})
    fleetd.configure({"media": pool, "secret": shell("echo hidden; exec sleep 1000")})
    fleetd.start()
    log = fleetd.log_directory / "media-0.log"
    wait_for(lambda: log.exists() and log.read_bytes(), "a line")

    def as_user(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*BECOME, *command], capture_output=True, text=True, check=False, timeout=20)

    assert as_user("cat", str(log)).stdout.endswith(" media:0 hello\n")
    for forbidden in (["cat", str(fleetd.log_directory / "secret-0.log")], ["ls", str(fleetd.log_directory)],
                      ["cat", str(fleetd.log_directory / "fleetd.log")],
                      ["sh", "-c", f"ln -s /etc/passwd {fleetd.log_directory}/media-1.log"]):  # fmt: skip
        assert "denied" in as_user(*forbidden).stderr


def test_the_own_log_of_a_detached_daemon_may_be_moved_away(fleetd: Fleetd) -> None:
    fleetd.configure({"media": shell("exit 0", healthy_after="0s")})
    fleetd.run("start", "--detach", "--no-wait")
    log = fleetd.log_directory / "fleetd.log"
    log.rename(log.with_suffix(".moved"))
    wait_for(lambda: log.exists() and "media:0" in log.read_text(), "the new file")
    fleetd.run("stop", timeout=20)
