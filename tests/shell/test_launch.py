"""What a worker is asked for: texts, names and environment."""

from __future__ import annotations

import os
import pwd
import resource
from pathlib import Path

import pytest

from fleetd.core.effects import Spawn
from fleetd.core.spec import Launch
from fleetd.shell.launch import LaunchError, Place, expand, inherited, request_for
from fleetd.shell.spawn_request import SpawnRequest

ENVIRON = {
    "PATH": "/bin",
    "HOME": "/daemon",
    "NOTIFY_SOCKET": "/run/systemd/notify",
    "LISTEN_FDS": "1",
    "LISTEN_ADDR": "kept",
    "WATCHDOG_PID": "1",
    "FLEETD_REDIS": "redis://secret",
    "INVOCATION_ID": "x",
    "JOURNAL_STREAM": "1:2",
}
PLACE = Place(host="media-1", fleet=None, directory="/srv", notify_folder=Path("/run/fleetd/x/notify"))


def asked(launch: Launch, *, directory: str | None = None, epoch: int | None = 7) -> SpawnRequest:
    return request_for(
        Spawn(run="r1", pool="media", slot=3, launch=launch, directory=directory, epoch=epoch, max_jobs=99), PLACE
    )


def test_what_was_told_to_the_daemon_alone_is_not_passed_on() -> None:
    assert inherited(ENVIRON) == {"PATH": "/bin", "HOME": "/daemon", "LISTEN_ADDR": "kept"}


def test_placeholders() -> None:
    values = {"slot": "3", "pool": "media", "host": "h", "queues": "a,b", "epoch": "", "run": "r1"}
    assert expand("{pool}-{slot}@{host} {queues} [{epoch}] {run}", values) == "media-3@h a,b [] r1"
    assert expand('{{"a": {{"b": 1}}', values) == '{"a": {"b": 1}}'
    assert expand("{{slot} {unknown} }", values) == "{slot} {unknown} }"


def test_command_directory_and_environment() -> None:
    request = asked(
        Launch(
            command=("php", "work", "--name={pool}:{slot}"),
            directory="app-{slot}",
            env={"GPU": "{slot}", "FLEETD_SLOT": "forged"},
            queues=("a", "b"),
            job_timeout=3600.0,
            watchdog=1.5,
        )
    )
    assert request.argv == ("php", "work", "--name=media:3")
    assert request.directory == "/srv/app-3"
    assert request.env == {
        "GPU": "3",
        "FLEETD_POOL": "media",
        "FLEETD_SLOT": "3",
        "FLEETD_WORKER": "media:3",
        "FLEETD_HOST": "media-1",
        "FLEETD_FLEET": "",
        "FLEETD_QUEUES": "a,b",
        "FLEETD_MAX_JOBS": "99",
        "FLEETD_JOB_TIMEOUT": "3600",
        "FLEETD_EPOCH": "7",
        "FLEETD_RUN": "r1",
        "NOTIFY_SOCKET": "/run/fleetd/x/notify/r1",
        "WATCHDOG_USEC": "1500000",
    }


def test_a_pinned_directory_counts_while_it_exists(tmp_path: Path) -> None:
    launch = Launch(command=("true",), directory="/new")
    assert asked(launch, directory=str(tmp_path)).directory == str(tmp_path)
    assert asked(launch, directory=str(tmp_path / "gone")).directory == "/new"


def test_the_daemons_directory_is_the_default() -> None:
    assert asked(Launch(command=("true",))).directory == "/srv"


@pytest.mark.skipif(os.geteuid() != 0, reason="for another user than root, root is needed")
def test_a_user_brings_groups_and_home() -> None:
    entry = pwd.getpwnam("nobody")
    request = asked(Launch(command=("true",), user="nobody"))
    assert (request.uid, request.gid) == (entry.pw_uid, entry.pw_gid)
    assert request.groups == tuple(sorted(os.getgrouplist("nobody", entry.pw_gid)))
    assert (request.env["HOME"], request.env["USER"], request.env["LOGNAME"]) == (entry.pw_dir, "nobody", "nobody")
    assert asked(Launch(command=("true",), user=str(entry.pw_uid), group="daemon")).gid == 1


def test_the_daemons_own_user_needs_no_change() -> None:
    own = pwd.getpwuid(os.geteuid())
    request = asked(Launch(command=("true",), user=own.pw_name))
    assert request.uid is None
    assert request.env["HOME"] == own.pw_dir


def test_limits_become_numbers() -> None:
    assert asked(Launch(command=("true",), limits=(("nofile", 4096), ("core", -1)))).limits == (
        (resource.RLIMIT_NOFILE, 4096),
        (resource.RLIMIT_CORE, -1),
    )


@pytest.mark.parametrize(
    ("launch", "said"),
    [
        (Launch(command=("true",), user="no-such-user"), "user no-such-user does not exist on this host"),
        (Launch(command=("true",), group="no-such-group"), "group no-such-group does not exist on this host"),
        (Launch(command=("true",), limits=(("bogus", 1),)), "limits: this system has no limit bogus"),
    ],
)
def test_unknown_names_are_refused(launch: Launch, said: str) -> None:
    with pytest.raises(LaunchError, match=said):
        asked(launch)
