"""What may be missing or go wrong around the daemon: terminal, Redis, disk space, its own runtime directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.crash import keeper_of, kill_daemon
from tests.support.fleetd_cli import COMMAND, Fleetd, kill
from tests.support.ordinary_user import UID
from tests.support.ports import free_port
from tests.support.process_world import alive
from tests.support.waiting import wait_for
from tests.support.wake_ups import settle, voluntary_switches, wait_in_another_process
from tests.support.worker_pools import SLEEPING, python, shell

pytestmark = pytest.mark.process

PRIVATE_MOUNTS = ["unshare", "--mount"]


def test_nothing_is_needed_but_a_pool_file(fleetd: Fleetd) -> None:
    """No terminal, no Redis that answers, no HOME, nothing to read from or write to."""
    fleetd.configure({"media": SLEEPING}, fleet={"name": "acme", "redis": "redis://127.0.0.1:1/0"})
    environment = {"PATH": os.environ["PATH"], "TEST_DIRECTORY": str(fleetd.directory)}
    command = ["setsid", str(COMMAND), "start", "-c", str(fleetd.file), "--detach"]
    nowhere = subprocess.DEVNULL
    done = subprocess.run(
        command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False, timeout=30
    )
    assert done.returncode == 0
    assert fleetd.pids("media")
    shown = fleetd.status()["fleet"]
    assert shown.pop("since") <= time.time() + 5  # which may have been set meanwhile
    assert shown == {"name": "acme", "connected": False, "epoch": None, "member": False}


def test_closed_standard_streams_are_no_obstacle(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    command = f"exec {COMMAND} start -c {fleetd.file} --detach 0<&- 1>&- 2>&-"
    done = subprocess.run(["sh", "-c", command], env=fleetd._environment(), check=False, timeout=30)
    assert done.returncode == 0
    assert fleetd.pids("media")


def test_names_with_spaces(fleetd: Fleetd) -> None:
    spacious = replace(fleetd, directory=fleetd.directory / "my café files")
    spacious.directory.mkdir()
    work = spacious.directory / "work here"
    work.mkdir()
    (work / "a worker.sh").write_text("pwd; exec sleep 1000")
    spacious.configure({"media": {"command": "sh 'a worker.sh'", "directory": str(work), "healthy-after": "100ms"}})
    spacious.start()
    try:
        wait_for(lambda: f"media:0 {work}" in spacious.run("logs").stdout, "the worker's words")
        kill_daemon(spacious)
        spacious.start()
        assert spacious.pids("media")
    finally:
        assert not spacious.end()


WORKING = """
import time
from fleetd import worker
worker.ready()
while True:
    with worker.job("j"): time.sleep(0.05)
"""


def delete(directory: Path) -> None:
    """As `rm -r`, whose last step fails if the daemon was quicker and has made the socket again."""
    directory.rename(directory.with_name("deleted"))
    shutil.rmtree(directory.with_name("deleted"))


def test_a_runtime_directory_that_was_deleted_comes_back(fleetd: Fleetd) -> None:
    pools = {"media": {**SLEEPING, "backoff": {"first": "50ms"}}, "busy": python(WORKING, ready="notify")}
    fleetd.configure(pools)
    fleetd.start()
    pids, busy, daemon = fleetd.pids("media"), fleetd.pids("busy"), fleetd.status()["pid"]
    runtime = fleetd.directory / "runtime" / "test"
    (runtime / "control.sock").unlink()
    wait_for(lambda: fleetd.run("status", code=None).returncode == 0, "the control socket")
    delete(runtime)
    wait_for(lambda: fleetd.run("status", code=None).returncode == 0, "the directory and its socket")
    assert (fleetd.status()["pid"], fleetd.pids("media")) == (daemon, pids)
    assert f"is running already (pid {daemon})" in fleetd.run("start", code=1).stderr
    kill(pids["media:0"])
    wait_for(
        lambda: fleetd.pids("media").get("media:0") not in {None, pids["media:0"]}, "a new worker, with its socket"
    )
    counted = fleetd.pool("busy")["jobs"]["done"]
    wait_for(lambda: fleetd.pool("busy")["jobs"]["done"] > counted, "one that lived before to be heard again")
    assert fleetd.pids("busy") == busy


def test_workers_are_not_doubled_after_the_runtime_directory_was_deleted(fleetd: Fleetd) -> None:
    """The next daemon cannot reach the keeper any more: it ends it, and takes over what it finds."""
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    old = fleetd.pids("media")
    delete(fleetd.directory / "runtime" / "test")
    wait_for(lambda: fleetd.run("status", code=None).returncode == 0, "the directory and its socket")
    keeper = keeper_of(fleetd)
    kill_daemon(fleetd)
    fleetd.start()
    assert fleetd.pids("media") == old
    wait_for(lambda: not alive(keeper), "the keeper that nobody can reach to end")


def test_another_runtime_directory_is_no_way_to_a_second_daemon(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    pids, daemon, here = fleetd.pids("media"), fleetd.status()["pid"], fleetd.file.read_text()
    there = here.replace(f"{fleetd.directory}/runtime", f"{fleetd.directory}/elsewhere")
    fleetd.file.write_text(there)
    told = f"is running already (pid {daemon}), with its sockets in {fleetd.directory}/runtime/test"
    assert told in fleetd.start(code=1).stderr
    kill(daemon)
    wait_for(lambda: not alive(daemon), "the daemon to be gone")
    assert f"name {fleetd.directory}/runtime as runtime-directory" in fleetd.start(code=1).stderr
    fleetd.file.write_text(here)
    fleetd.start()
    assert fleetd.pids("media") == pids
    fleetd.run("stop")
    fleetd.file.write_text(there)
    fleetd.start()


def test_a_runtime_directory_without_room_is_named(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.inside = ("prlimit", "--fsize=0")
    said = fleetd.run("start", code=1).stderr
    assert (
        said.splitlines()[-1] == f"fleetd start: {fleetd.directory}/runtime/test/lock cannot be written: File too large"
    )


def test_a_runtime_directory_that_cannot_be_made_again_is_waited_for(fleetd: Fleetd) -> None:
    """As that of a login: it is taken away whole, and comes back with the next login."""
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    pids, parent = fleetd.pids("media"), fleetd.directory / "runtime"
    parent.rename(fleetd.directory / "gone")
    parent.write_text("in the way")
    shutil.rmtree(fleetd.directory / "gone")
    wait_for(lambda: "cannot be made again yet" in fleetd.daemon_log(), "the daemon to have tried")
    parent.unlink()
    wait_for(lambda: fleetd.run("status", code=None).returncode == 0, "the directory and its socket")
    assert fleetd.pids("media") == pids
    assert fleetd.daemon_log().count("cannot be made again yet") == 1


def full_disk_works() -> bool:
    mount = 'mount -t tmpfs -o size=1m none "$0"'
    return os.geteuid() == 0 and subprocess.run(
        [*PRIVATE_MOUNTS, "sh", "-c", mount, "/mnt"], capture_output=True, check=False
    ).returncode == 0  # fmt: skip


@pytest.mark.root
@pytest.mark.parametrize("form", ["raw", "prefix"])
def test_a_full_disk_drops_output_and_holds_up_no_worker(fleetd: Fleetd, form: str) -> None:
    if not full_disk_works():
        pytest.skip("a small file system cannot be mounted here")
    log = fleetd.directory / "log"
    log.mkdir()
    (fleetd.directory / "count").touch()
    counting = "i=0; while :; do i=$((i+1)); echo line $i; printf . >>count; sleep 0.01; done"
    pool = shell(counting, directory=str(fleetd.directory), numprocs=2, log={"format": form})
    fleetd.configure({"media": pool})
    fill = 'mount -t tmpfs -o size=1m none "$0" && dd if=/dev/zero of="$0/ballast" bs=1k 2>/dev/null'
    script = f"{fill}; exec {COMMAND} start -c {fleetd.file}"
    daemon = subprocess.Popen(
        [*PRIVATE_MOUNTS, "sh", "-c", script, str(log)], env=fleetd._environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "the workers to be healthy")
        wait_for(lambda: fleetd.events("output.dropped"), "the event", every=0.2)
        wait_for(lambda: all(w["output_dropped"] > 0 for w in fleetd.pool("media")["workers"]), "both to be counted")
        before, pids = (fleetd.directory / "count").stat().st_size, fleetd.pids("media")
        wait_for(lambda: (fleetd.directory / "count").stat().st_size > before + 100, "the workers to go on")
        assert fleetd.pids("media") == pids
        subprocess.run(["nsenter", "--target", str(daemon.pid), "--mount", "rm", str(log / "ballast")], check=True)
        wait_for(lambda: fleetd.events("output.kept"), "output to be written again")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)
    assert daemon.returncode == 0


# -- P8 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numprocs", [1, 30])
def test_an_idle_daemon_does_not_wake_up(fleetd: Fleetd, numprocs: int) -> None:
    """Nor for metrics, which are drawn when somebody asks."""
    port = free_port()
    fleetd.configure({"media": {**SLEEPING, "numprocs": numprocs}}, daemon={"metrics-listen": f"127.0.0.1:{port}"})
    fleetd.start()
    fleetd.run("scale", "media=+1")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as metrics:
        assert f'fleetd_pool_desired_workers{{pool="media"}} {numprocs + 1}.0' in metrics.read().decode()
    watched = [fleetd.status()["pid"], keeper_of(fleetd)]
    settle(watched)
    before = [voluntary_switches(pid) for pid in watched]
    wait_in_another_process(5)
    assert [voluntary_switches(pid) for pid in watched] == before


def test_one_timer_for_all_when_memory_is_limited(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 30, "max-memory": "500MiB"}})
    fleetd.start()
    daemon, keeper = fleetd.status()["pid"], keeper_of(fleetd)
    settle([keeper])
    before, kept = voluntary_switches(daemon), voluntary_switches(keeper)
    wait_in_another_process(5)
    assert voluntary_switches(daemon) - before <= 4
    assert voluntary_switches(keeper) == kept


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_runtime_directory_of_another_user_is_refused(fleetd: Fleetd) -> None:
    """Whoever owns the directory could put a socket of his own there."""
    fleetd.configure({"media": SLEEPING})
    (fleetd.directory / "runtime").mkdir()
    os.chown(fleetd.directory / "runtime", UID, UID)
    said = fleetd.start(code=None)
    assert said.returncode in {1, 2}
    assert str(fleetd.directory / "runtime") in said.stderr
