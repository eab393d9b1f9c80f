"""The daemon speaks to the service manager that started it, as sd_notify(3) says."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Iterator
from itertools import pairwise

import psutil
import pytest

from tests.support.crash import started_at
from tests.support.fleetd_cli import Fleetd, kill
from tests.support.process_world import alive
from tests.support.service_manager import ServiceManager
from tests.support.waiting import stays, wait_for
from tests.support.wake_ups import settle, voluntary_switches, wait_in_another_process
from tests.support.worker_pools import SLEEPING, failing, python, ready_shell, shell, stubborn

pytestmark = pytest.mark.process

ONE_JOB = """
import pathlib, signal, sys, time
from fleetd import worker
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
with worker.job("transcode"):
    while not pathlib.Path("leave").exists():
        time.sleep(0.02)
while not asked:
    time.sleep(0.02)
"""


@pytest.fixture
def manager(fleetd: Fleetd) -> Iterator[ServiceManager]:
    """Who is told; the daemon is not started yet."""
    with ServiceManager(fleetd.directory / "manager.sock") as receiver:
        fleetd.environment["NOTIFY_SOCKET"] = str(receiver.path)
        yield receiver


def pid_of(fleetd: Fleetd) -> int:
    pid: int = fleetd.status()["pid"]
    return pid


# -- order and texts ---------------------------------------------------------------------------------------------------


def test_from_the_start_to_the_end(fleetd: Fleetd, manager: ServiceManager) -> None:
    """Start, work, reload, drain: the whole conversation is the daemon's alone, and in this order."""
    fleetd.configure(
        {"media": python(ONE_JOB, directory=str(fleetd.directory), stop_timeout="4m10s"), "calm": SLEEPING}
    )
    fleetd.start()
    daemon = pid_of(fleetd)
    manager.wait_for("STATUS", "2/2 workers, 1 busy")
    assert manager.said("STATUS")[0] == "starting"
    assert manager.wait_for("READY", "1").fields["MAINPID"] == str(daemon)

    asked = time.monotonic()
    fleetd.run("reload")
    wait_for(lambda: manager.states() == ["READY", "RELOADING", "READY"], "the reload to be over")
    begun = manager.wait_for("RELOADING", "1").fields
    assert asked <= int(begun["MONOTONIC_USEC"]) / 1e6 <= time.monotonic()
    assert manager.said("STATUS")[-1] == "2/2 workers, 1 busy"

    kill(daemon, signal.SIGTERM)
    told = manager.wait_for("STOPPING", "1").fields["STATUS"]
    assert re.fullmatch(r"draining: 2 workers left, 1 busy, the longest has 4 min (\d|10) s", told)
    manager.wait_for("STATUS", "draining: 1 worker left, 1 busy, with 4 min")
    (fleetd.directory / "leave").touch()
    wait_for(lambda: not alive(daemon), "the daemon to end")
    manager.wait_for("STATUS", "stopped")
    assert manager.states() == ["READY", "RELOADING", "READY", "STOPPING"]
    assert manager.said("STATUS")[-1] == "stopped"
    assert {message.pid for message in manager.messages} == {daemon}, "nobody else was told of the socket"


def test_more_time_is_asked_for_as_soon_as_there_is_something_to_wait_for(
    fleetd: Fleetd, manager: ServiceManager
) -> None:
    fleetd.configure({"media": stubborn(str(fleetd.directory))})
    fleetd.start()
    kill(pid_of(fleetd), signal.SIGTERM)
    stopping = manager.wait_for("STOPPING", "1")
    asked = wait_for(
        lambda: [m for m in manager.messages if m.at >= stopping.at and "EXTEND_TIMEOUT_USEC" in m.fields], "more time"
    )
    assert asked[0].fields["EXTEND_TIMEOUT_USEC"] == "30000000"
    (fleetd.directory / "leave").touch()


def test_a_second_term_is_told_as_well(fleetd: Fleetd, manager: ServiceManager) -> None:
    fleetd.configure({"media": stubborn(str(fleetd.directory))})
    fleetd.start()
    daemon = pid_of(fleetd)
    kill(daemon, signal.SIGTERM)
    manager.wait_for("STATUS", "draining: 1 worker left, with ")
    kill(daemon, signal.SIGTERM)
    manager.wait_for("STATUS", "ending at once: 1 worker left, with ")
    wait_for(lambda: not alive(daemon), "the daemon to end at once")
    assert manager.states() == ["READY", "STOPPING"]


def test_stopping_by_command_is_stopping(fleetd: Fleetd, manager: ServiceManager) -> None:
    """The manager must not take it for a failure, nor start the daemon again."""
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    fleetd.run("stop", "--now")
    manager.wait_for("STATUS", "stopped")
    assert manager.states() == ["READY", "STOPPING"]


@pytest.mark.parametrize("by_signal", [True, False])
def test_a_reload_that_is_refused_is_over_too(fleetd: Fleetd, manager: ServiceManager, by_signal: bool) -> None:
    """Whoever asked the manager for it would wait until its time-out; what is wrong stays to be seen."""
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    manager.wait_for("STATUS", "1/1 worker")
    right = fleetd.file.read_text()
    fleetd.file.write_text(right + "comand = 1\n")

    def reload(code: int) -> None:
        if by_signal:
            kill(pid_of(fleetd), signal.SIGHUP)
        else:
            fleetd.run("reload", code=code)

    reload(2)
    wait_for(lambda: manager.states() == ["READY", "RELOADING", "READY"], "the reload to be over")
    told = manager.said("STATUS")[-1]
    assert told.startswith(f"1/1 worker; the last reload changed nothing: {fleetd.file}:")
    assert "comand" in told

    fleetd.file.write_text(right)
    reload(0)
    wait_for(lambda: manager.states() == ["READY", *["RELOADING", "READY"] * 2], "the next one to be over")
    assert manager.said("STATUS")[-1] == "1/1 worker"


def test_a_dry_run_is_no_reload(fleetd: Fleetd, manager: ServiceManager) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    fleetd.run("reload", "--dry-run")
    fleetd.run("stop", "--now")
    manager.wait_for("STATUS", "stopped")
    assert manager.states() == ["READY", "STOPPING"]


def test_a_pool_that_crashes_does_not_make_the_service_fail(fleetd: Fleetd, manager: ServiceManager) -> None:
    fleetd.configure({"calm": SLEEPING, "broken": failing("exit 1"), "late": {**SLEEPING, "after": ["broken"]}})
    fleetd.popen("start")
    manager.wait_for("READY", "1")
    manager.wait_for("STATUS", "1/3 workers, 1 starting, 1 failing")


def test_stops_and_rollouts_are_told(fleetd: Fleetd, manager: ServiceManager) -> None:
    script = "test -e broken && exit 7; echo ready; sleep 1000"
    fleetd.configure({"media": ready_shell(script, directory=str(fleetd.directory))})
    fleetd.start()
    (fleetd.directory / "broken").touch()
    fleetd.run("restart", "--local", code=1)
    manager.wait_for("STATUS", "1/1 worker; media: rollout halted at 0 of 1: media:0: exited with code 7")
    fleetd.run("stop", "media")
    manager.wait_for("STATUS", "0/0 workers; ")
    assert manager.said("STATUS")[-1].endswith("stopped: media")


# -- the watchdog ------------------------------------------------------------------------------------------------------


def pings(manager: ServiceManager) -> list[float]:
    return [message.at for message in manager.messages if "WATCHDOG" in message.fields]


def test_pings_go_on_under_load_and_end_with_a_daemon_that_hangs(fleetd: Fleetd, manager: ServiceManager) -> None:
    limit = 6.0  # a ping is due after half of it: the machine has other things to do, too
    fleetd.environment["WATCHDOG_USEC"] = str(int(limit * 1e6))
    flood = shell("while :; do seq 1000; done", numprocs=2, log={"max-size": "1MiB", "keep": 1})
    fleetd.configure({"flood": flood, "short": shell("exit 0", numprocs=10)})
    fleetd.start()
    fleetd.environment.clear()
    daemon, since = pid_of(fleetd), time.monotonic()

    def under_load() -> list[float]:
        return [at for at in pings(manager) if at >= since]

    wait_for(lambda: len(under_load()) >= 3, "some pings", within=60)
    gaps = [later - earlier for earlier, later in pairwise(under_load())]
    assert max(gaps) < limit, "the manager would have taken the daemon for dead"

    kill(daemon, signal.SIGSTOP)
    try:
        wait_for(lambda: psutil.Process(daemon).status() == psutil.STATUS_STOPPED, "the daemon to be stopped")
        count = len(pings(manager))
        stays(lambda: len(pings(manager)) <= count + 1, "a daemon that hangs says nothing", seconds=limit / 2 + 1)
    finally:
        kill(daemon, signal.SIGCONT)
    wait_for(lambda: len(pings(manager)) > count + 2, "pings to go on")


def test_the_watchdogs_signal_leaves_the_stack_in_the_log(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    daemon, workers = pid_of(fleetd), fleetd.pids("media")
    kill(daemon, signal.SIGABRT)
    wait_for(lambda: not alive(daemon), "the daemon to end")
    log = fleetd.daemon_log()
    assert "Fatal Python error: Aborted" in log
    assert "in serve" in log or "run_forever" in log
    assert all(started_at(pid) for pid in workers.values())
    fleetd.start()
    assert fleetd.pids("media") == workers, "the next daemon goes on with them"


# -- nobody there ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["{}/nobody.sock", "@fleetd-test-nobody", "/" + "long" * 50, "vsock:2:1", "relative"]
)
def test_a_manager_that_is_not_there_hurts_nobody(fleetd: Fleetd, address: str) -> None:
    fleetd.environment |= {"NOTIFY_SOCKET": address.format(fleetd.directory), "WATCHDOG_USEC": "no number"}
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    fleetd.run("reload")
    fleetd.run("stop")
    assert "internal error" not in fleetd.daemon_log()


def test_a_manager_that_does_not_read_holds_nothing_up(fleetd: Fleetd) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(fleetd.directory / "deaf.sock"))
        fleetd.environment |= {"NOTIFY_SOCKET": deaf.getsockname(), "WATCHDOG_USEC": "100000"}
        fleetd.configure({"media": SLEEPING})
        fleetd.start()
        for _ in range(5):
            fleetd.run("reload", timeout=10)
        fleetd.run("stop", timeout=20)
    assert "internal error" not in fleetd.daemon_log()


def test_a_manager_that_is_told_costs_no_wake_up_while_nothing_happens(fleetd: Fleetd, manager: ServiceManager) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 10}})
    fleetd.start()
    manager.wait_for("STATUS", "10/10 workers")
    daemon = pid_of(fleetd)
    settle([daemon])
    before, told = voluntary_switches(daemon), len(manager.messages)
    wait_in_another_process(5)
    assert voluntary_switches(daemon) == before
    assert len(manager.messages) == told
