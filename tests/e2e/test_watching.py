"""Looking on while a daemon is killed, and a daemon that is looked at in its own foreground."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.live_view import LiveView, live_view
from tests.support.service_manager import ServiceManager
from tests.support.waiting import wait_for
from tests.support.worker_pools import ready_shell

pytestmark = pytest.mark.process

POOLS = {"media": {"command": "sleep 1000", "numprocs": 2, "healthy-after": "100ms"}}


def test_a_view_outlives_its_daemon(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    fleetd.start()
    before = fleetd.status()
    with live_view("status", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees(f"pid {before['pid']}")
        os.kill(before["pid"], signal.SIGKILL)
        shown = live.sees("the daemon of test does not answer (killed or stopped)")
        assert "media" in shown  # what was seen last
        fleetd.start()
        after = fleetd.status()
        is_back = f"pid {after['pid']}"
        live.until(lambda shown: is_back in shown and "does not answer" not in shown, "the daemon that is back")
        live.press("q")
        assert live.ended() == (0, None)
        live.assert_left_clean()
    assert fleetd.pids("media") == {worker["name"]: worker["pid"] for worker in before["pools"][0]["workers"]}


def test_leaving_waits_a_moment_for_what_was_confirmed(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    fleetd.start()
    with live_view("status", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("media ")
        live.press("down", "p", "y", "q")
        assert live.ended() == (0, None)
    assert fleetd.pool("media")["paused"]
    daemon = fleetd.status()["pid"]
    with live_view("status", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("media ")
        os.kill(daemon, signal.SIGSTOP)
        try:
            live.press("down", "u", "y", "q")
            left = time.monotonic()
            assert live.ended() == (0, None)
            assert time.monotonic() - left < 13  # a daemon's answer is waited for 15 s
        finally:
            os.kill(daemon, signal.SIGCONT)


def test_leaving_the_view_of_start_drains(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q drain")
        wait_for(lambda: fleetd.control.path.exists() and len(fleetd.pids("media")) == 2, "two workers")
        live.press("?", "q", "q")
        live.sees("Leave and DRAIN all workers?")
        live.press("y")
        assert live.ended() == (0, None)
        live.assert_left_clean()
        assert "draining: jobs in hand finish; Ctrl-C ends them now" in live.written
    fleetd.leaves_nothing()


def test_a_second_ctrl_c_ends_workers_that_do_not_drain(fleetd: Fleetd) -> None:
    fleetd.configure({"media": ready_shell("trap '' TERM; echo ready; while :; do sleep 1; done", stop_timeout="1h")})
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q drain")
        wait_for(lambda: fleetd.control.path.exists() and fleetd.pids("media"), "a worker")
        live.press("ctrl-c")
        live.sees("draining")
        wait_for(lambda: fleetd.status()["state"] == "stopping", "the drain")
        live.press("ctrl-c")
        assert live.ended() == (0, None)
    fleetd.leaves_nothing()


def test_a_daemon_in_view_drains_when_its_terminal_is_gone(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q drain")
        wait_for(lambda: fleetd.control.path.exists() and len(fleetd.pids("media")) == 2, "two workers")
        live.child.kill(signal.SIGKILL)
        wait_for(lambda: not fleetd.processes(), "the daemon and its workers to end")


def job(fleetd: Fleetd, until: str) -> dict[str, Any]:
    """A worker that has a job in hand until there is a file of that name, although it is asked to end."""
    script = f"trap ': > asked' TERM; echo ready; while [ ! -e {until} ]; do sleep 0.1; done; : > finished"
    return ready_shell(script, stop_timeout="1h", directory=str(fleetd.directory))


def configure_job(fleetd: Fleetd) -> None:
    fleetd.configure({"media": job(fleetd, "done")})


def has_asked(fleetd: Fleetd) -> bool:
    return (fleetd.directory / "asked").exists()


@contextmanager
def viewed_at_work(fleetd: Fleetd) -> Iterator[LiveView]:
    """A daemon in the view of `start`, whose worker runs."""
    configure_job(fleetd)
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q drain")
        wait_for(lambda: fleetd.control.path.exists() and fleetd.pids("media"), "a worker")
        yield live


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_terminal_that_goes_while_a_daemon_drains_costs_no_job(fleetd: Fleetd, number: signal.Signals) -> None:
    fleetd.configure({"media": job(fleetd, "done"), "mail": job(fleetd, "first")})
    with ServiceManager(fleetd.directory / "manager.sock") as manager:
        fleetd.environment["NOTIFY_SOCKET"] = str(manager.path)
        with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
            live.sees("q drain")
            wait_for(lambda: fleetd.control.path.exists() and all(map(fleetd.pids, ("media", "mail"))), "the workers")
            daemon = psutil.Process(fleetd.status()["pid"])
            live.press("q", "y")
            wait_for(lambda: has_asked(fleetd), "the drain")
            live.child.kill(number)
            assert live.ended() == (None, number)
            wait_for(lambda: daemon.ppid() != live.child.pid, "the daemon to be an orphan")
            (fleetd.directory / "first").touch()  # the daemon decides anew, and says where it stands
            says = wait_for(
                lambda: [each for each in manager.said("STATUS") if "1 worker left" in each], "what it says"
            )
            assert says[0].startswith("draining: ")
            (fleetd.directory / "done").touch()
            wait_for(lambda: not fleetd.processes(), "the daemon and its workers to end")
    assert (fleetd.directory / "finished").exists()


def test_sigterm_to_a_view_of_start_drains(fleetd: Fleetd) -> None:
    with viewed_at_work(fleetd) as live:
        live.child.kill(signal.SIGTERM)
        live.sees("draining: jobs in hand finish")
        wait_for(lambda: has_asked(fleetd), "the drain")
        (fleetd.directory / "done").touch()
        assert live.ended() == (0, None)
        live.assert_left_clean()
    assert (fleetd.directory / "finished").exists()
    fleetd.leaves_nothing()


def test_a_second_sigterm_to_a_view_of_start_ends_jobs(fleetd: Fleetd) -> None:
    with viewed_at_work(fleetd) as live:
        live.child.kill(signal.SIGTERM)
        wait_for(lambda: has_asked(fleetd), "the drain")
        live.child.kill(signal.SIGTERM)
        assert live.ended() == (0, None)
    assert not (fleetd.directory / "finished").exists()
    fleetd.leaves_nothing()


def test_a_daemon_in_view_that_is_killed_is_a_failure(fleetd: Fleetd) -> None:
    with viewed_at_work(fleetd) as live:
        pid = fleetd.status()["pid"]
        live.press("q", "y")
        wait_for(lambda: has_asked(fleetd), "the drain")
        os.kill(pid, signal.SIGKILL)
        assert live.ended() == (1, None)
    fleetd.start()  # takes the worker over
    (fleetd.directory / "done").touch()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_view_of_start_ends_with_its_daemon(fleetd: Fleetd, how: str) -> None:
    fleetd.configure(POOLS)
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q drain")
        wait_for(lambda: fleetd.control.path.exists() and len(fleetd.pids("media")) == 2, "two workers")
        if how == "stopped":
            fleetd.run("stop")
        else:
            os.kill(fleetd.status()["pid"], signal.SIGKILL)
        assert live.ended() == (0 if how == "stopped" else 1, None)
        live.assert_left_clean()
        assert f"the daemon has ended: {fleetd.log_directory / 'fleetd.log'} says why" in live.written
        assert "draining: jobs in hand" not in live.written
    if how == "killed":
        fleetd.start()  # takes the workers over


def test_a_view_of_start_drains_no_daemon_but_its_own(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q drain")
        wait_for(lambda: fleetd.control.path.exists() and len(fleetd.pids("media")) == 2, "two workers")
        live.child.kill(signal.SIGSTOP)
        fleetd.run("stop")
        fleetd.start()
        live.press("q", "y")
        live.child.kill(signal.SIGCONT)
        assert live.ended() == (0, None)
    assert fleetd.status()["state"] == "running"


def test_a_view_needs_a_terminal(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    assert "--view needs a terminal" in fleetd.run("start", "--view", code=2).stderr
    assert "leave it out, or --detach" in fleetd.run("start", "--view", "--detach", code=2).stderr
