"""Looking on while a daemon is killed, and a daemon that is looked at in its own foreground."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.live_view import live_view
from tests.support.waiting import wait_for

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


def test_leaving_the_view_of_start_drains(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q quit")
        wait_for(lambda: fleetd.control.path.exists() and len(fleetd.pids("media")) == 2, "two workers")
        live.press("q")
        assert live.ended() == (0, None)
        live.assert_left_clean()
        assert "draining: jobs in hand finish; Ctrl-C ends them now" in live.written
    assert not fleetd.processes()


def test_a_second_ctrl_c_ends_workers_that_do_not_drain(fleetd: Fleetd) -> None:
    deaf = ["sh", "-c", 'trap "" TERM; echo deaf; while :; do sleep 1; done']
    fleetd.configure({"media": {"command": deaf, "stop-timeout": "1h", "healthy-after": "100ms"}})
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q quit")
        wait_for(lambda: fleetd.control.path.exists() and fleetd.pids("media"), "a worker")
        live.press("ctrl-c")
        live.sees("draining")
        wait_for(lambda: fleetd.status()["state"] == "stopping", "the drain")
        live.press("ctrl-c")
        assert live.ended() == (0, None)
    assert not fleetd.processes()


def test_a_daemon_in_view_drains_when_its_terminal_is_gone(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    with live_view("start", "--view", "-c", str(fleetd.file), environment=fleetd._environment()) as live:
        live.sees("q quit")
        wait_for(lambda: fleetd.control.path.exists() and len(fleetd.pids("media")) == 2, "two workers")
        live.child.kill(signal.SIGKILL)
        wait_for(lambda: not fleetd.processes(), "the daemon and its workers to end")


def test_a_view_needs_a_terminal(fleetd: Fleetd) -> None:
    fleetd.configure(POOLS)
    assert "--view needs a terminal" in fleetd.run("start", "--view", code=2).stderr
    assert "leave it out, or --detach" in fleetd.run("start", "--view", "--detach", code=2).stderr
