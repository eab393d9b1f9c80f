"""On a real systemd: the daemon is expendable (P3), and its unit brings it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.systemd_unit import Unit, until

pytestmark = [pytest.mark.process, pytest.mark.root]


def restarted(unit: Unit, times: int = 1) -> None:
    """Wait for the automatic restart."""
    until(lambda: unit.show("NRestarts") == str(times) and unit.state == "active", "the automatic restart")
    unit.until_healthy()


def test_workers_keep_their_pids_when_the_daemon_is_killed(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    before = unit.pids()
    kept = f"/run/fleetd/{unit.name}/kept"
    unit.machine.run("touch", kept)

    for times in (1, 2):
        unit.kill_daemon()
        restarted(unit, times)
        assert unit.pids() == before
        unit.machine.run("test", "-e", kept)  # as the journal and the sockets beside it are

    for pid in before.values():  # each in a cgroup of its own, below that of the unit
        assert f"/{unit.unit}/fleetd-{unit.name}-" in unit.machine.run("cat", f"/proc/{pid}/cgroup").stdout
    controllers = unit.machine.run("cat", f"{unit.cgroup}/cgroup.subtree_control")
    assert controllers.stdout.strip() == "", "or a restart would fail with 219/CGROUP"


@pytest.mark.parametrize("hang", [lambda unit: unit.kill_daemon("STOP"), Unit.hang_daemon], ids=["stopped", "frozen"])
def test_a_daemon_that_hangs_is_replaced_and_its_workers_live_on(unit: Unit, hang: Callable[[Unit], object]) -> None:
    unit.drop_in(WatchdogSec="3s", TimeoutAbortSec="1s")
    unit.configure_workers()
    unit.install()
    before, restarts = unit.pids(), unit.show("NRestarts")

    hang(unit)
    until(lambda: unit.show("NRestarts") != restarts and unit.state == "active", "the watchdog to have bitten")

    assert "Watchdog timeout" in unit.journal()
    unit.until_healthy()
    assert unit.pids() == before


def test_workers_get_a_daemon_again_though_the_file_was_invalid(unit: Unit) -> None:
    """What is invalid is final, but workers must not be left without a daemon for ever."""
    unit.configure_workers()
    unit.install()
    before, good = unit.pids(), unit.file.read_text()

    unit.file.write_text("[pool.media]\nnumprocs = 'many'\n")
    unit.kill_daemon()
    until(lambda: unit.show("ExecMainStatus") == "2", "the daemon to have refused the file")
    unit.file.write_text(good)

    until(lambda: unit.state == "active", "another try")
    unit.until_healthy()
    assert unit.pids() == before


def test_workers_that_a_daemon_started_by_hand_has_taken_over_are_its_own(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    before, good = unit.pids(), unit.file.read_text()
    unit.file.write_text("[pool.media]\nnumprocs = 'many'\n")
    unit.kill_daemon()
    until(lambda: unit.show("ExecMainStatus") == "2", "the daemon to have refused the file")
    unit.file.write_text(good)
    unit.fleetd("start", "--detach")
    assert "started by hand, runs already" in unit.systemd("install", "--now", code=1).stderr

    unit.machine.systemctl("stop", unit.unit)

    assert unit.pids() == before
    unit.fleetd("stop")
    assert unit.processes() == []


def test_a_stop_while_the_file_is_invalid_leaves_nothing(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    unit.file.write_text("[pool.media]\nnumprocs = 'many'\n")
    unit.kill_daemon()
    until(lambda: unit.show("ExecMainStatus") == "2", "the daemon to have refused the file")
    assert unit.processes()

    unit.machine.systemctl("stop", unit.unit)

    assert unit.processes() == []
