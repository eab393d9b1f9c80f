"""On a real systemd: a unit is installed, started, asked, reloaded, changed and removed."""

from __future__ import annotations

import pytest

from tests.support.fleetd_cli import COMMAND
from tests.support.real_systemd import Machine
from tests.support.systemd_unit import UNITS, Unit, until

pytestmark = [pytest.mark.process, pytest.mark.root]


def test_install_starts_it_and_systemctl_tells_how_it_is(unit: Unit) -> None:
    unit.configure_workers()
    said = unit.install()

    assert said.splitlines() == [f"{unit.path}: written", f"{unit.unit}: enabled", f"{unit.unit}: started"]
    assert unit.machine.systemctl("is-enabled", unit.unit).strip() == "enabled"
    assert (unit.state, unit.show("SubState"), unit.show("Result")) == ("active", "running", "success")
    until(lambda: "2/2 workers" in unit.show("StatusText"), "the status text")
    assert "2/2 workers" in unit.machine.systemctl("status", unit.unit)
    assert unit.show("NeedDaemonReload") == "no"


def test_to_install_it_again_changes_nothing_and_reloads_nothing(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    pids, loads = unit.pids(), reloads(unit.machine)

    assert unit.systemd("install", "--now").stdout == f"{unit.path}: unchanged\n"
    assert reloads(unit.machine) == loads

    unit.configure_workers(stop_timeout="1h")
    assert f"{unit.path}: written\n" in unit.systemd("install").stdout
    assert reloads(unit.machine) == loads + 1
    assert unit.show("TimeoutStopUSec") == "1h 35s"
    assert unit.pids() == pids


def test_a_start_whose_unit_gives_too_little_time_says_so(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    assert "TimeoutStopSec" not in unit.journal()

    unit.configure_workers(stop_timeout="1h")
    unit.machine.systemctl("restart", unit.unit)

    warning = f"TimeoutStopSec= of {unit.unit} is 90 s, and these pools may take 3605 s to drain"
    assert warning in unit.journal()


def test_a_reload_applies_the_files_or_fails_and_changes_nothing(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    before = unit.pids()

    unit.configure_workers(numprocs=3)
    unit.machine.systemctl("reload", unit.unit)
    until(lambda: len(unit.pids()) == 3, "the third worker")
    assert before.items() <= unit.pids().items()

    good = unit.file.read_text()
    unit.file.write_text("[pool.media]\nnumprocs = 'many'\n")
    unit.machine.systemctl("reload", unit.unit, code=1)
    assert unit.state == "active"
    assert before.items() <= pids_whatever_the_file_says(unit, good).items()


def test_fleetd_stop_is_final(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    unit.fleetd("stop")

    until(lambda: unit.state == "inactive", "the unit to have ended")
    assert (unit.show("Result"), unit.show("NRestarts"), unit.processes()) == ("success", "0", [])


def test_an_invalid_file_is_final_too(unit: Unit) -> None:
    unit.configure_workers()
    unit.systemd("install")
    unit.file.write_text("[pool.media]\nnumprocs = 'many'\n")
    unit.machine.systemctl("start", unit.unit, code=1)

    assert (unit.state, unit.show("ExecMainStatus"), unit.show("NRestarts")) == ("failed", "2", "0")
    assert "numprocs" in unit.journal()


def test_uninstall_drains_and_removes_the_unit_and_nothing_else(unit: Unit) -> None:
    unit.configure_workers("trap 'echo drained >>ended; exit 0' TERM; while :; do sleep 0.05; done")
    unit.drop_in(Nice="1")
    unit.machine.run("touch", f"{UNITS}/fleetd-neighbour.service")
    unit.install()
    before = unit.machine.run("find", "/etc", "-name", "*fleetd*").stdout.split()

    said = unit.systemd("uninstall").stdout

    assert f"{unit.path}: removed" in said
    assert f"{unit.path}.d: left" in said
    after = unit.machine.run("find", "/etc", "-name", "*fleetd*").stdout.split()
    assert set(before) - set(after) == {unit.path, f"{UNITS}/multi-user.target.wants/{unit.unit}"}
    assert (unit.directory / "ended").read_text() == "drained\n" * 2
    assert unit.show("LoadState") == "not-found"
    assert unit.machine.run("ls", "/run/fleetd").stdout.split().count(unit.name) == 0
    assert unit.systemd("uninstall").stdout == f"{unit.path}: not there, nothing to do\n"
    unit.machine.run("rm", f"{UNITS}/fleetd-neighbour.service")


def test_a_unit_whose_workers_outlive_the_stop_is_not_removed(unit: Unit) -> None:
    unit.configure_workers()
    unit.drop_in(RestartSec="1h")
    unit.install()
    unit.machine.systemctl("kill", "--kill-who=main", "--signal=KILL", unit.unit)
    until(lambda: unit.show("SubState") == "auto-restart", "the unit to wait for its restart")

    for _ in range(2):  # the second time, systemd knows nothing of a cgroup
        refused = unit.systemd("uninstall", code=1)
        assert "processes of" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert unit.machine.run("test", "-e", unit.path, code=None).returncode == 0

    unit.machine.systemctl("start", unit.unit)
    unit.until_healthy()
    assert f"{unit.path}: removed" in unit.systemd("uninstall").stdout


def test_a_unit_whose_daemon_was_started_by_hand_is_not_removed(unit: Unit) -> None:
    unit.configure_workers()
    unit.systemd("install")
    unit.fleetd("start", "--detach")

    refused = unit.systemd("uninstall", code=1)

    assert refused.stderr == (
        f"fleetd systemd: a daemon that is none of {unit.unit} runs: `fleetd stop` it first; nothing was removed\n"
    )
    unit.fleetd("stop")
    assert f"{unit.path}: removed" in unit.systemd("uninstall").stdout


def test_a_unit_that_was_changed_by_hand_is_left_alone_unless_forced(unit: Unit) -> None:
    unit.configure_workers()
    unit.systemd("install")
    unit.machine.run("sh", "-c", f"echo '# mine' >>{unit.path}")
    changed = unit.machine.run("cat", unit.path).stdout
    unit.configure_workers(stop_timeout="1h")

    for action in ("install", "uninstall"):
        refused = unit.systemd(action, code=1)
        assert refused.stderr.count("\n") == 1
        assert "changed since fleetd wrote it" in refused.stderr
        assert "--force" in refused.stderr
    assert unit.machine.run("cat", unit.path).stdout == changed

    unit.systemd("install", "--force")
    assert "# mine" not in unit.machine.run("cat", unit.path).stdout
    unit.systemd("uninstall")


def test_needrestart_is_told_to_leave_units_alone(unit: Unit) -> None:
    folder = "/etc/needrestart/conf.d"
    unit.configure_workers()
    unit.machine.run("mkdir", "-p", folder)

    assert f"{folder}/fleetd.conf: written" in unit.systemd("install").stdout
    assert "override_rc" in unit.machine.run("cat", f"{folder}/fleetd.conf").stdout
    assert f"{folder}/fleetd.conf: removed" in unit.systemd("uninstall").stdout
    assert unit.machine.run("ls", folder).stdout == ""
    unit.machine.run("rm", "-r", "/etc/needrestart")


def test_names_that_mean_something_to_systemd_arrive_as_they_are(unit: Unit) -> None:
    odd = unit.directory / "50%n $HOME"
    odd.mkdir()
    unit.configure_workers(env={"GIVEN": "${GIVEN}"})
    moved = odd / 'it\'s "q" \\ pools.toml'
    refused = unit.machine.run(str(COMMAND), "systemd", "show", "-c", str(unit.file), code=2)
    assert "GIVEN" in refused.stderr
    unit.file.rename(moved)
    moved.with_suffix(".env").write_text('GIVEN="from beside"\n')
    words = ("-c", str(moved), "--instance", unit.name)

    unit.machine.run("env", "GIVEN=1", str(COMMAND), "systemd", "install", "--now", *words)

    assert unit.state == "active"
    assert unit.machine.run(str(COMMAND), "health", "--instance", unit.name).returncode == 0
    unit.machine.systemctl("reload", unit.unit)
    unit.machine.run(str(COMMAND), "systemd", "uninstall", *words)


def test_what_this_shell_has_and_the_unit_has_not_is_told(unit: Unit) -> None:
    unit.configure_workers(env={"GIVEN": "${GIVEN}"})
    words = ("systemd", "install", "-c", str(unit.file))
    said = unit.machine.run("env", "GIVEN=secret", str(COMMAND), *words).stderr

    assert "GIVEN" in said
    assert str(unit.file.with_suffix(".env")) in said
    assert "secret" not in said


def test_a_program_that_another_user_can_change_is_told(unit: Unit) -> None:
    unit.configure_workers()
    unit.machine.run("sh", "-ec", f"mkdir -p /opt/theirs; cp {COMMAND} /opt/theirs; chown nobody /opt/theirs/fleetd")
    words = ("systemd", "install", "-c", str(unit.file))

    said = unit.machine.run("/opt/theirs/fleetd", *words).stderr

    assert "/opt/theirs/fleetd: belongs to user 65534, who can command this daemon" in said
    assert "/opt/theirs/fleetd start" in unit.show("ExecStart")
    assert "/opt/theirs" not in unit.machine.run(str(COMMAND), *words).stderr


def test_without_systemctl_one_line_says_so(unit: Unit) -> None:
    unit.configure_workers()
    done = unit.machine.run(
        "env", "PATH=/nonexistent", str(COMMAND), "systemd", "install", "-c", str(unit.file), code=1
    )
    assert done.stderr.splitlines()[-1].startswith("fleetd systemd: systemctl cannot be run (No such file")


def test_workers_can_be_workers(unit: Unit) -> None:
    """Whatever the sandbox is: they have their user, their home of shared files, /tmp, and programs that are setuid."""
    script = """
        grep -h NoNewPrivs /proc/self/status; id -un; touch /tmp/{name} here && echo wrote
        ulimit -n; unshare --user --map-root-user true && echo namespace; mount | grep -c " /proc "; exec sleep 1000"""
    unit.directory.chmod(0o1777)
    unit.configure_workers(script.replace("{name}", unit.name), numprocs=1, user="nobody", log={"format": "raw"})
    unit.install()

    file = f"/var/log/fleetd/{unit.name}/media-0.log"
    until(lambda: unit.machine.run("cat", file, code=None).stdout.count("\n") >= 5, "what it says")
    log = unit.machine.run("cat", file).stdout
    assert log.split("\n")[:5] == ["NoNewPrivs:\t0", "nobody", "wrote", "1024", "namespace"]
    assert unit.machine.run("stat", "--format", "%U", f"/tmp/{unit.name}").stdout == "nobody\n"
    assert (unit.directory / "here").exists()


def test_the_template_is_used_as_it_is(host: Machine) -> None:
    made = Unit(host, "as-it-is")
    made.configure_workers("trap 'exit 0' TERM; while :; do sleep 0.05; done")
    host.run("mkdir", "-p", "/etc/fleetd")
    host.run("cp", str(made.file), "/etc/fleetd/media.toml")
    host.run("ln", "-s", str(COMMAND), "/usr/local/bin/fleetd")
    host.run("cp", f"{COMMAND.parents[2]}/systemd/fleetd@.service", f"{UNITS}/fleetd@.service")
    host.systemctl("enable", "--now", "fleetd@media.service")

    assert host.show("fleetd@media.service", "ActiveState") == "active"
    host.run("fleetd", "health", "--instance", "media")
    host.systemctl("reload", "fleetd@media.service")
    host.systemctl("disable", "--now", "fleetd@media.service")
    assert host.show("fleetd@media.service", "Result") == "success"


def reloads(machine: Machine) -> int:
    """How often PID 1 has read its units anew."""
    return machine.journalctl("_PID=1").count("Reloading.")


def pids_whatever_the_file_says(unit: Unit, good: str) -> dict[str, int]:
    unit.file.write_text(good)
    return unit.pids()


def test_an_upgrade_keeps_the_main_process_and_the_workers(unit: Unit) -> None:
    unit.configure_workers()
    unit.install()
    main, before = unit.show("MainPID"), unit.pids()

    assert "upgraded" in unit.fleetd("upgrade").stdout

    until(lambda: unit.show("SubState") == "running" and "2/2 workers" in unit.show("StatusText"), "READY again")
    assert (unit.show("MainPID"), unit.show("NRestarts"), unit.state) == (main, "0", "active")
    assert unit.pids() == before
    unit.machine.systemctl("stop", unit.unit)
    assert (unit.show("Result"), unit.processes()) == ("success", [])
