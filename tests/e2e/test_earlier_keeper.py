"""After an upgrade the keeper is still the one of the version before: it goes on serving the new daemon."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.test_takeover import COUNTING, JOBS, numbers_in
from tests.support.crash import identities, kill_daemon
from tests.support.fleetd_cli import MARK, Document, Fleetd, kill
from tests.support.requirement import need
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, python, shell

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
LANDED = "c8a5abb"  # the commit of the version before


@pytest.fixture
def keeper(fleetd: Fleetd, tmp_path: Path) -> Iterator[psutil.Process]:
    """The instance's keeper, of the code of then, which waits for its first daemon."""
    archive = subprocess.run(
        ["git", "archive", LANDED, "fleetd/keeper"], cwd=ROOT, check=False, capture_output=True, timeout=60
    )
    need(archive.returncode == 0, f"commit {LANDED} is not in this clone: fetch the whole history")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path, filter="data")
    runtime = fleetd.directory / "runtime" / fleetd.name
    runtime.mkdir(parents=True, mode=0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(runtime / "keeper.sock"))
        listener.listen(8)
        program = str(tmp_path / "fleetd" / "keeper" / "__main__.py")
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", program, str(listener.fileno()), fleetd.name, "1024"],
            env={"PATH": os.environ["PATH"], MARK: str(fleetd.directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    yield psutil.Process(process.pid)
    process.kill()  # where the test has failed before it ended
    process.wait(timeout=10)


def exit_of(fleetd: Fleetd, worker: str, **how: int) -> Document:
    """The first exit of this worker by this code or signal, once the daemon that runs has told of it."""

    def told() -> Document | None:
        exits = (event for event in fleetd.events("worker.exited") if event["worker"] == worker)
        return next((event for event in exits if event["fields"].items() >= how.items()), None)

    found = wait_for(told, f"{worker} to exit by {how}")
    assert found is not None
    return found


def test_it_serves_todays_daemon(fleetd: Fleetd, keeper: psutil.Process) -> None:
    leave = "until [ -e leave-$FLEETD_SLOT ]; do sleep 0.02; done; echo last words; exit 7"
    fleetd.configure(
        {
            "lines": shell(COUNTING, log={"format": "raw"}),
            "jobs": python(JOBS, str(fleetd.directory)),
            "ending": shell(leave, directory=str(fleetd.directory), numprocs=2, backoff={"first": "50ms"}),
            "limited": {**SLEEPING, "nice": 5},
        }
    )
    fleetd.start()
    pools = ("lines", "jobs", "limited")
    pids = {pool: fleetd.pids(pool) for pool in pools}
    workers = {pid for pool in pids.values() for pid in pool.values()}
    assert workers <= {child.pid for child in keeper.children()}, "it started them"

    (fleetd.directory / "leave-0").touch()  # under its first daemon
    told = fleetd.exits(1)[0]
    assert (told["worker"], told["fields"]["code"], told["fields"]["lines"][-1]) == ("ending:0", 7, "last words")
    (fleetd.directory / "leave-0").unlink()
    one = fleetd.pids("ending")["ending:1"]
    kill_daemon(fleetd)
    (fleetd.directory / "leave-1").touch()  # under none
    wait_for(lambda: not identities([one]), "it to end while nobody looks")
    (fleetd.directory / "leave-1").unlink()
    fleetd.start()
    told = exit_of(fleetd, "ending:1", code=7)
    assert told["fields"]["lines"][-1] == "last words"
    fleetd.run("upgrade")
    assert {pool: fleetd.pids(pool) for pool in pools} == pids

    fleetd.run("restart", "limited")
    (limited,) = fleetd.pids("limited").values()
    assert limited not in workers
    assert psutil.Process(limited).nice() == psutil.Process().nice() + 5
    kill(limited)
    assert exit_of(fleetd, "limited:0", signal=9)["fields"]["reason"] == "signal"
    wait_for(lambda: limited not in fleetd.pids("limited").values() and fleetd.pids("limited"), "its successor")

    fleetd.run("stop", "lines", "jobs", timeout=60)
    found = numbers_in(fleetd.log_directory / "lines-0.log")
    assert found == list(range(1, len(found) + 1))
    counted = (fleetd.directory / "jobs-0").stat().st_size
    assert (fleetd.pool("jobs")["jobs"]["done"], counted > 0) == (counted, True)
    assert keeper.is_running()
    fleetd.run("stop", timeout=60)
    assert keeper.wait(timeout=10) == 0, "it quits when it is told to"
