"""On a real systemd: a stop is a drain, and leaves nothing."""

from __future__ import annotations

import time

import pytest

from tests.support.real_systemd import machine
from tests.support.systemd_unit import JOB, Unit, until
from tests.support.waiting import stays

pytestmark = [pytest.mark.process, pytest.mark.root]


def test_a_stop_waits_for_a_job_of_20_seconds(unit: Unit) -> None:
    unit.configure_workers(JOB, numprocs=1, stop_timeout="60s")
    unit.drop_in(TimeoutStopSec="4s")  # less than the job takes: the daemon asks for more
    unit.install()
    began = time.monotonic()

    unit.machine.systemctl("stop", "--no-block", unit.unit)
    until(lambda: unit.state == "deactivating", "the stop to begin")
    stays(lambda: unit.state == "deactivating", "the drain", seconds=20, every=1)
    assert "draining" in unit.show("StatusText") or "stopping" in unit.show("StatusText")
    (unit.directory / "leave").touch()

    until(lambda: unit.state == "inactive", "the end of the drain")
    assert time.monotonic() - began > 20
    assert ((unit.directory / "ended").read_text(), unit.show("Result")) == ("done\n", "success")
    assert unit.processes() == []


def test_what_outlasts_the_time_to_stop_is_killed(unit: Unit) -> None:
    """The daemon hangs, and does not even ask for more time: all that it had started goes with it."""
    unit.drop_in(TimeoutStopSec="2s")
    unit.configure_workers("setsid sh -c 'trap \"\" TERM; sleep 1000' & exec sleep 1000")
    unit.install()
    unit.hang_daemon()

    unit.machine.systemctl("stop", unit.unit)

    assert (unit.state, unit.show("Result"), unit.show("NRestarts")) == ("failed", "timeout", "0")
    assert unit.processes() == []
    assert "were left after the stop: killed" in unit.journal()


def test_a_restart_of_a_daemon_that_hangs_keeps_the_workers(unit: Unit) -> None:
    unit.drop_in(TimeoutStopSec="2s")
    unit.configure_workers()
    unit.install()
    before = unit.pids()
    unit.hang_daemon()

    unit.machine.systemctl("restart", unit.unit)

    unit.until_healthy()
    assert unit.pids() == before


def test_a_shutdown_of_the_machine_waits_for_the_job_in_hand() -> None:
    with machine() as host:
        unit = Unit(host, "last")
        unit.configure_workers(JOB, numprocs=1, stop_timeout="60s")
        unit.install()

        host.power_off()
        until((unit.directory / "told").exists, "the drain to have begun")
        assert host.outside.poll() is None
        (unit.directory / "leave").touch()
        host.outside.wait(30)

        assert (unit.directory / "ended").read_text() == "done\n"
