"""On a real systemd: an ordinary user's own manager runs a unit of the user's own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.open_clone import found_in
from tests.support.ordinary_user import everyones_python
from tests.support.real_systemd import Machine
from tests.support.systemd_unit import until

pytestmark = [pytest.mark.process, pytest.mark.root]


NAME, UID = "casey", 64999


@pytest.fixture
def login(host: Machine) -> Iterator[tuple[str, ...]]:
    """What a command of that user begins with, on a machine where the user's manager runs."""
    host.run("useradd", "--create-home", "--uid", str(UID), NAME)
    host.systemctl("start", f"user@{UID}.service")
    # The unit runs without the variables of this test: the manager has to have them.
    variables = (f"PYTHONPATH={found_in()}", "PYTHONDONTWRITEBYTECODE=1")
    session = (f"HOME=/home/{NAME}", f"XDG_RUNTIME_DIR=/run/user/{UID}")
    become = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "env", *variables, *session)
    host.run(*become, "systemctl", "--user", "set-environment", *variables)
    yield become
    host.systemctl("stop", f"user@{UID}.service")
    host.run("userdel", "--remove", NAME)


def test_a_users_unit_lives_as_a_systems_does(host: Machine, login: tuple[str, ...]) -> None:
    file = f"/home/{NAME}/mine.toml"
    host.run("sh", "-c", f'printf \'[pool.media]\\ncommand = ["sleep", "1000"]\\nnumprocs = 2\\n\' >{file}')
    fleetd = (*login, everyones_python(), "-m", "fleetd.cli.main")
    own = (*login, "systemctl", "--user")

    def show(name: str) -> str:
        return host.run(*own, "show", "fleetd-mine.service", "--property", name, "--value").stdout.strip()

    def pids() -> list[int]:
        (pool,) = json.loads(host.run(*fleetd, "status", "--json", "-c", file).stdout)["pools"]
        return [worker["pid"] for worker in pool["workers"]]

    refused = host.run(*fleetd, "systemd", "install", "-c", file, code=1)
    assert "--user" in refused.stderr

    said = host.run(*fleetd, "systemd", "install", "--user", "--now", "-c", file).stdout
    unit = f"/home/{NAME}/.config/systemd/user/fleetd-mine.service"
    assert f"{unit}: written" in said
    assert "loginctl enable-linger" in said
    health = (*fleetd, "health", "--ready", "-c", file)
    until(lambda: host.run(*health, code=None).returncode == 0, "every worker to be healthy")
    before = pids()

    host.run("kill", "-KILL", show("MainPID"))
    until(lambda: (show("NRestarts"), show("ActiveState")) == ("1", "active"), "the automatic restart")
    until(lambda: host.run(*health, code=None).returncode == 0, "every worker to be healthy again")
    assert pids() == before

    host.run(*own, "reload", "fleetd-mine.service")
    host.run(*fleetd, "systemd", "uninstall", "--user", "-c", file)
    for pid in before:
        host.run("kill", "-0", str(pid), code=1)
    assert "fleetd" not in host.run("find", f"/home/{NAME}/.config").stdout
