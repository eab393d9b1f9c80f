"""`fleetd systemd` where no systemd runs the machine: what can be shown is, and what cannot be done says why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.fleetd_cli import COMMAND, Fleetd
from tests.support.installed import Installed, InstalledFleetd
from tests.support.ordinary_user import OrdinaryUsersFleetd
from tests.support.worker_pools import SLEEPING, shell

pytestmark = pytest.mark.process
BOOTED = Path("/run/systemd/system").is_dir()


def line(text: str, key: str) -> str:
    (found,) = (line for line in text.splitlines() if line.startswith(f"{key}="))
    return found.removeprefix(f"{key}=")


def test_show_prints_the_unit_with_absolute_paths(fleetd: Fleetd, monkeypatch: pytest.MonkeyPatch) -> None:
    fleetd.configure({"media": shell("true", stop_timeout="1h")})
    monkeypatch.chdir(fleetd.directory)
    fleetd.directory, there = Path(), fleetd.directory

    text = fleetd.run("systemd", "show").stdout

    fleetd.directory = there
    assert line(text, "ExecStart") == f"{COMMAND} start -c {there}/test.toml"
    assert line(text, "TimeoutStopSec") == "3635s"


def test_show_of_several_files_is_one_unit(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    other = fleetd.directory / "other.toml"
    other.write_text("[pool.mail]\ncommand = 'true'\nstop-timeout = '2h'\n")

    text = fleetd.run("systemd", "show", "-c", str(other)).stdout

    assert line(text, "ExecStart") == f"{COMMAND} start -c {fleetd.file} -c {other}"
    assert line(text, "Description") == "Queue workers of test (fleetd)"
    assert line(text, "TimeoutStopSec") == "7235s"


def test_an_invalid_file_has_no_unit(fleetd: Fleetd) -> None:
    fleetd.file.write_text("[pool.media]\nnumprocs = 'many'\nnonsense = 1\n")
    for action in ("show", "install"):
        done = fleetd.run("systemd", action, code=2 if action == "show" or os.geteuid() == 0 else 1)
        assert done.stdout == ""
        assert action == "install" or ("numprocs" in done.stderr and "nonsense" in done.stderr)


@pytest.mark.skipif(BOOTED, reason="systemd runs this machine")
def test_without_systemd_nothing_is_installed(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    for action in ("install", "uninstall"):
        done = fleetd.run("systemd", action, "--user", code=1)
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
        assert "systemd is not what runs this machine" in done.stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs for the system")
def test_variables_that_another_user_can_change_are_refused(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    beside = fleetd.file.with_suffix(".env")
    beside.touch()
    beside.chmod(0o666)
    done = fleetd.run("systemd", "install", code=2)
    assert f"{beside}: can be changed by every user, and with it what runs as root; chmod o-w" in done.stderr
    beside.unlink()
    beside.symlink_to("nowhere")
    assert f"{beside} cannot be read: " in fleetd.run("systemd", "install", code=2).stderr


def test_a_package_without_its_units_says_so(short_path: Path) -> None:
    copy = Installed(short_path / "installed")
    copy.folder.mkdir()
    copy.install("0.1.0")
    shutil.rmtree(copy.package / "systemd" / "files")
    instance = InstalledFleetd(short_path, installed=copy)
    instance.configure({"media": SLEEPING})
    done = instance.run("systemd", "show", code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "fleetd@.service cannot be read (No such file or directory): install fleetd again" in done.stderr


def test_what_ends_the_processes_of_a_unit_does_nothing_elsewhere(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.environment = {"SERVICE_RESULT": "success"} if not BOOTED else {}
    assert "ExecStopPost=" in fleetd.run("systemd", "after-stop", code=2).stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_only_root_installs_for_the_system(short_path: Path) -> None:
    ordinary = OrdinaryUsersFleetd(short_path)
    short_path.chmod(0o755)
    ordinary.configure({"media": SLEEPING})
    done = ordinary.run("systemd", "install", code=1)
    wanted = "only root may write units of the system: run it with sudo, or give --user for your own manager"
    assert done.stderr == f"fleetd systemd: {wanted}\n"
