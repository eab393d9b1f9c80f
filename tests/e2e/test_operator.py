"""What an operator asks for: it is done, and what the contract says is remembered is remembered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.crash import kill_daemon
from tests.support.fleetd_cli import Document, Fleetd
from tests.support.waiting import stays, wait_for
from tests.support.worker_pools import SLEEPING, failing, python, ready_shell, shell

pytestmark = pytest.mark.process

PAUSABLE = {"pausable": {"pause-signal": "USR2", "resume-signal": "CONT"}}
# Says which signals reach it, and how it stands.
LISTENER = """
import signal, time
def tell(number, _):
    print("got", signal.Signals(number).name, flush=True)
for name in ("USR1", "USR2", "CONT", "HUP"):
    signal.signal(getattr(signal, "SIG" + name), tell)
print("listening", flush=True)
while True:
    time.sleep(1)
"""


def by_crash(fleetd: Fleetd) -> None:
    kill_daemon(fleetd)
    fleetd.start()


def by_stop(fleetd: Fleetd) -> None:
    fleetd.run("stop")
    fleetd.start()


after_a_new_daemon = pytest.mark.parametrize("renew", [by_crash, by_stop], ids=["kill -9", "stop and start"])
Renew = Callable[[Fleetd], None]


def states(fleetd: Fleetd, pool: str) -> dict[str, str]:
    return {worker["name"]: worker["state"] for worker in fleetd.pool(pool)["workers"]}


def listener(**keys: Any) -> Document:
    return python(LISTENER, framework="pausable", numprocs=2, **keys)


def start_listeners(fleetd: Fleetd) -> None:
    """Until each has its handlers: a signal that came before would end it."""
    fleetd.start()
    wait_for(lambda: fleetd.run("logs").stdout.count("listening") == 2, "both to listen")


# -- remembered --------------------------------------------------------------------------------------------------------


@after_a_new_daemon
def test_a_stop_is_remembered_until_start(fleetd: Fleetd, renew: Renew) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 3}, "mail": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    fleetd.run("stop", "mail", "media:1")
    pids = fleetd.pids("media")
    renew(fleetd)
    stays(lambda: states(fleetd, "media")["media:1"] == "stopped", "the stop of one worker", seconds=0.3)
    assert states(fleetd, "mail") == {"mail:0": "stopped", "mail:1": "stopped"}
    assert fleetd.pids("media").keys() == {"media:0", "media:2"}
    if renew is by_crash:
        assert fleetd.pids("media") == pids
    fleetd.run("start", "m*")
    assert len(fleetd.pids("media")) == 3
    assert len(fleetd.pids("mail")) == 2
    renew(fleetd)
    assert len(fleetd.pids("media")) == 3
    assert len(fleetd.pids("mail")) == 2


def test_a_stop_without_a_target_is_not_remembered(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    by_stop(fleetd)
    assert fleetd.pids("media")


@after_a_new_daemon
def test_a_pool_without_autostart_that_was_started_goes_on(fleetd: Fleetd, renew: Renew) -> None:
    fleetd.configure({"media": {**SLEEPING, "autostart": False}})
    fleetd.start()
    assert fleetd.pool("media")["state"] == "stopped"
    fleetd.run("start", "media")
    pids = fleetd.pids("media")
    assert pids
    renew(fleetd)
    if renew is by_crash:
        stays(lambda: fleetd.pids("media") == pids, "the worker of the pool that was started", seconds=0.3)
    else:
        assert fleetd.pids("media")


@after_a_new_daemon
def test_one_worker_started_in_a_stopped_pool(fleetd: Fleetd, renew: Renew) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    fleetd.run("stop", "media")
    fleetd.run("start", "media:1")
    expected = {"media:0": "stopped", "media:1": "running"}
    assert states(fleetd, "media") == expected
    renew(fleetd)
    assert states(fleetd, "media") == expected


@after_a_new_daemon
def test_a_scaling_is_remembered_until_the_files_numprocs_changes(fleetd: Fleetd, renew: Renew) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    fleetd.run("scale", "media=+2")
    assert len(fleetd.pids("media")) == 4
    renew(fleetd)
    assert len(fleetd.pids("media")) == 4
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2, "healthy-after": "150ms"}})
    fleetd.run("reload")
    assert len(fleetd.pids("media")) == 4, "the file's numprocs is the same"
    fleetd.configure({"media": {**SLEEPING, "numprocs": 3, "healthy-after": "150ms"}})
    fleetd.run("reload")
    wait_for(lambda: len(fleetd.pool("media")["workers"]) == 3, "the file's new numprocs")
    renew(fleetd)
    assert len(fleetd.pids("media")) == 3


@after_a_new_daemon
def test_a_scaling_ends_with_a_numprocs_that_changed_while_no_daemon_ran(fleetd: Fleetd, renew: Renew) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    fleetd.run("scale", "media=3")
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    renew(fleetd)
    wait_for(lambda: len(fleetd.pool("media")["workers"]) == 2, "the file's numprocs")


def test_a_damaged_state_file_is_refused_and_nothing_is_started(fleetd: Fleetd) -> None:
    """To start without it could start what an operator had stopped."""
    script = "touch began; echo ready; exec sleep 1000"
    fleetd.configure({"media": ready_shell(script, directory=str(fleetd.directory))})
    fleetd.start()
    fleetd.run("stop")
    (fleetd.directory / "began").unlink()
    (file,) = (fleetd.directory / "state").rglob("state.json")
    file.write_text(file.read_text()[:20])
    said = fleetd.start(code=1).stderr
    assert f"{file}: is damaged; move it away to start without" in said
    fleetd.leaves_nothing()
    assert not (fleetd.directory / "began").exists()


# -- scale, pause, signal ----------------------------------------------------------------------------------------------


def test_scaling_in_lets_idle_workers_leave_first_and_waits_for_busy_ones(fleetd: Fleetd) -> None:
    """Slots 1 and 3 have a job in hand."""
    program = """
import os, time
from fleetd import worker
worker.handle_stop()
worker.ready()
if os.environ["FLEETD_SLOT"] in "13":
    with worker.job("transcode"):
        while not worker.stopping:
            time.sleep(0.02)
        time.sleep(0.5)
        print("finished", flush=True)
else:
    while not worker.stopping:
        time.sleep(0.02)
"""
    fleetd.configure({"media": python(program, numprocs=4, ready="notify")})
    fleetd.start()
    wait_for(lambda: sum(bool(w["busy"]) for w in fleetd.pool("media")["workers"]) == 2, "two jobs in hand")
    fleetd.run("scale", "media=2")
    wait_for(lambda: states(fleetd, "media").keys() == {"media:1", "media:3"}, "the idle ones to leave")
    fleetd.run("scale", "media=0")
    wait_for(lambda: not fleetd.pool("media")["workers"], "the busy ones to leave")
    assert fleetd.run("logs").stdout.count("finished") == 0 or fleetd.events("worker.exited")
    exits = {e["worker"]: e["fields"] for e in fleetd.events("worker.exited")}
    assert {fields["reason"] for fields in exits.values()} == {"scale"}
    assert {fields["code"] for fields in exits.values()} == {0}, "each finished what it had in hand"
    assert exits["media:1"]["jobs_done"] == exits["media:3"]["jobs_done"] == 1


def test_pause_by_signals(fleetd: Fleetd) -> None:
    fleetd.configure({"media": listener()}, framework=PAUSABLE)
    start_listeners(fleetd)
    pids = fleetd.pids("media")
    fleetd.run("pause", "media")
    wait_for(lambda: fleetd.run("logs").stdout.count("got SIGUSR2") == 2, "the pause signals")
    paused = fleetd.pool("media")
    assert (paused["state"], paused["paused"]) == ("paused", True)
    fleetd.run("pause", "media")
    fleetd.run("resume", "media")
    wait_for(lambda: fleetd.run("logs").stdout.count("got SIGCONT") == 2, "the resume signals")
    assert fleetd.pids("media") == pids
    assert fleetd.pool("media")["state"] == "running"
    assert fleetd.run("logs").stdout.count("got SIGUSR2") == 2, "those paused already get no second signal"


def test_a_worker_that_ends_during_a_pause_is_replaced_by_resume(fleetd: Fleetd) -> None:
    """A new one would take jobs before it could be told to pause."""
    fleetd.configure({"media": listener(backoff={"first": "50ms"})}, framework=PAUSABLE)
    start_listeners(fleetd)
    fleetd.run("pause", "media")
    psutil.Process(fleetd.pids("media")["media:1"]).kill()
    fleetd.exits(1)
    stays(lambda: fleetd.pids("media").keys() == {"media:0"}, "the empty slot", seconds=0.5)
    fleetd.run("resume")
    assert len(fleetd.pids("media")) == 2


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_restart_during_a_pause_or_a_stop_waits_for_nobody(fleetd: Fleetd, verb: str) -> None:
    """A deployment in a maintenance window: what starts afterwards starts from the new release."""
    root = fleetd.directory
    switch(root, "r1")
    fleetd.configure({"media": deployed(root, numprocs=2)})
    fleetd.start()
    fleetd.run(verb, "media")
    switch(root, "r2")
    fleetd.run("restart", timeout=20)
    fleetd.run("resume" if verb == "pause" else "start", "media")
    assert resolved(fleetd) == {"media:0": "r2", "media:1": "r2"}


@after_a_new_daemon
def test_a_pause_is_lifted_by_resume_also_under_a_new_daemon(fleetd: Fleetd, renew: Renew) -> None:
    fleetd.configure({"media": listener()}, framework=PAUSABLE)
    start_listeners(fleetd)
    fleetd.run("pause", "media")
    wait_for(lambda: fleetd.run("logs").stdout.count("got SIGUSR2") == 2, "the pause signals")
    if renew is by_crash:
        pids = fleetd.pids("media")
        by_crash(fleetd)
        assert fleetd.pids("media") == pids
    else:
        fleetd.run("stop")
        fleetd.run("start", "--detach", "--no-wait")
    assert fleetd.pool("media")["paused"]
    fleetd.run("resume")
    if renew is by_crash:
        wait_for(lambda: fleetd.run("logs").stdout.count("got SIGCONT") == 2, "the resume signals")
    assert len(fleetd.pids("media")) == 2
    assert fleetd.pool("media")["state"] == "running"


def test_pause_without_signals_drains_and_holds_the_slots(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}, "other": SLEEPING})
    fleetd.start()
    fleetd.run("pause", "media")
    pool = fleetd.pool("media")
    assert (pool["state"], [worker["pid"] for worker in pool["workers"]]) == ("paused", [None, None])
    fleetd.run("resume")
    assert len(fleetd.pids("media")) == 2


def test_signal_reaches_the_main_process_only(fleetd: Fleetd) -> None:
    script = (
        "trap 'echo main' USR1; sh -c 'trap \"echo child\" USR1; echo ready; while :; do sleep 0.05; done' & "
        "while :; do wait; done"
    )
    fleetd.configure({"media": ready_shell(script, numprocs=2)})
    fleetd.start()
    fleetd.run("signal", "USR1", "media:1")
    wait_for(lambda: "media:1 main" in fleetd.run("logs").stdout, "the signal")
    stays(lambda: "child" not in fleetd.run("logs").stdout, "silence of the child", seconds=0.3)
    assert "media:0 main" not in fleetd.run("logs").stdout


# -- order -------------------------------------------------------------------------------------------------------------


def test_pools_start_after_those_they_need_and_stop_before_them(fleetd: Fleetd) -> None:
    slow = {**SLEEPING, "healthy-after": "500ms"}
    slow_to_stop = shell("trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done")
    fleetd.configure(
        {"app": {**slow_to_stop, "after": ["cache"]}, "cache": {**slow, "after": ["base"]}, "base": SLEEPING}
    )
    started = fleetd.popen("start")
    wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "all to be healthy")
    order = [(event["kind"], event["pool"]) for event in fleetd.events()]
    assert order.index(("worker.healthy", "base")) < order.index(("worker.started", "cache"))
    assert order.index(("worker.healthy", "cache")) < order.index(("worker.started", "app"))
    fleetd.run("stop")
    output, _ = started.communicate(timeout=20)
    when = {line.split()[2].rstrip(":"): n for n, line in enumerate(output.splitlines()) if " ended" in line}
    draining = {line.split()[2].rstrip(":"): n for n, line in enumerate(output.splitlines()) if " draining " in line}
    assert when["app:0"] < draining["cache:0"] < when["cache:0"] < draining["base:0"]


def test_a_pool_waits_for_what_does_not_come_up(fleetd: Fleetd) -> None:
    fleetd.configure({"app": {**SLEEPING, "after": ["base"]}, "base": failing("exit 1", backoff={"first": "50ms"})})
    fleetd.start(code=1)
    (waiting,) = fleetd.pool("app")["workers"]
    assert (waiting["state"], waiting["run"], waiting["pid"]) == ("waiting", None, None)


# -- a directory that is a symlink -------------------------------------------------------------------------------------


def resolved(fleetd: Fleetd, pool: str = "media") -> dict[str, str]:
    """The release that each worker of a pool really stands in; without one that ended while it was looked at."""
    found = {}
    for worker in fleetd.pool(pool)["workers"]:
        with suppress(psutil.NoSuchProcess):
            if worker["pid"]:
                assert worker["directory"] == str(psutil.Process(worker["pid"]).cwd())
                found[worker["name"]] = Path(worker["directory"]).name
    return found


def switch(root: Path, name: str, script: str = "echo ready; exec sleep 1000") -> None:
    """Deploys a release, and switches `current` to it."""
    release = root / name
    release.mkdir()
    (release / "worker.sh").write_text(script)
    fresh = root / "next"
    fresh.symlink_to(release)
    fresh.replace(root / "current")


def deployed(root: Path, **keys: Any) -> Document:
    return ready_shell(". ./worker.sh", directory=str(root / "current"), **keys)


def test_new_runs_are_in_the_directory_that_the_symlink_names_then(fleetd: Fleetd) -> None:
    root = fleetd.directory
    switch(root, "r1")
    fleetd.configure({"media": deployed(root, numprocs=2)})
    fleetd.start()
    switch(root, "r2")
    assert resolved(fleetd) == {"media:0": "r1", "media:1": "r1"}
    psutil.Process(fleetd.pids("media")["media:1"]).kill()
    wait_for(lambda: resolved(fleetd) == {"media:0": "r1", "media:1": "r2"}, "a refill outside a rollout")
    fleetd.run("restart")
    assert set(resolved(fleetd).values()) == {"r2"}


@pytest.mark.parametrize("crash", [False, True], ids=["same daemon", "after kill -9"])
def test_while_a_rollout_is_halted_slots_are_refilled_from_the_release_they_had(fleetd: Fleetd, crash: bool) -> None:
    root = fleetd.directory
    switch(root, "r1")
    fleetd.configure({"media": deployed(root, numprocs=2, backoff={"first": "50ms"})})
    fleetd.start()
    switch(root, "r2", "exit 1")
    fleetd.run("restart", code=1)
    if crash:
        kill_daemon(fleetd)
        fleetd.start()
    for name, pid in fleetd.pids("media").items():
        psutil.Process(pid).kill()
        wait_for(lambda n=name, p=pid: fleetd.pids("media").get(n) not in {None, p}, f"the refill of {name}")
    assert resolved(fleetd) == {"media:0": "r1", "media:1": "r1"}
    switch(root, "r3")
    fleetd.run("restart")
    assert set(resolved(fleetd).values()) == {"r3"}
