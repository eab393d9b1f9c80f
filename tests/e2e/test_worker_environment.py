"""Contract, section 3: what a worker finds when it is born, as seen from inside."""

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetd_cli import Document, Fleetd
from tests.support.process_world import PROGRAMS
from tests.support.waiting import wait_for
from tests.support.worker_pools import SOON, python, shell

pytestmark = pytest.mark.process

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts workers as somebody else")


def born_with(fleetd: Fleetd, **tables: Any) -> Document:
    """What the first worker of pool `media` says that it was born with."""
    fleetd.start(code=None)
    lines = fleetd.log_directory / "media-0.log"
    wait_for(lambda: lines.exists() and "to stderr" in lines.read_text(), "the worker's words")
    said: Document = json.loads(next(line for line in lines.read_text().splitlines() if line.startswith("{")))
    return said


def telling(**keys: Any) -> Document:
    """A pool whose workers tell, once, and then are not started again."""
    command = {"command": ["python3", str(PROGRAMS / "tells.py")], "restart": "never", "log": {"format": "raw"}, **SOON}
    return {**command, **{key.replace("_", "-"): value for key, value in keys.items()}}


def telling_as_nobody(**keys: Any) -> Document:
    """The same as another user, who perhaps may not enter the directory of this clone."""
    return telling(user="nobody", directory="/", **keys)


def test_fleetds_own_variables(fleetd: Fleetd) -> None:
    fleetd.environment = {
        "NOTIFY_SOCKET": "/of/the/daemon", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "LISTEN_FDS": "1",
        "LISTEN_PID": "1", "INVOCATION_ID": "x", "JOURNAL_STREAM": "8:1", "FLEETD_RUN": "another",
        "FLEETD_REDIS": "secret", "KEPT": "as it is",
    }  # fmt: skip
    fleetd.configure(
        {
            "media": telling(
                queues=["high", "low"], max_jobs=7, job_timeout="1h30m", env={"A": "{slot}-{pool}", "B": "{{}"}
            )
        },
        fleet={"name": "acme", "host": "media-1", "redis": "redis://127.0.0.1:1/0"},
    )
    environment = born_with(fleetd)["environment"]
    (run,) = {event["fields"]["run"] for event in fleetd.events("worker.started")}
    expected = {
        "FLEETD_POOL": "media", "FLEETD_SLOT": "0", "FLEETD_WORKER": "media:0", "FLEETD_HOST": "media-1",
        "FLEETD_FLEET": "acme", "FLEETD_QUEUES": "high,low", "FLEETD_MAX_JOBS": "7", "FLEETD_JOB_TIMEOUT": "5400",
        "FLEETD_EPOCH": "", "FLEETD_RUN": run,
    }  # fmt: skip
    ours = {name: value for name, value in environment.items() if name.startswith("FLEETD_")}
    assert ours == expected
    assert environment["NOTIFY_SOCKET"] == str(fleetd.directory / "runtime" / "test" / "notify" / run)
    assert (
        not {"WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "INVOCATION_ID", "JOURNAL_STREAM"}
        & environment.keys()
    )
    assert (environment["KEPT"], environment["A"], environment["B"]) == ("as it is", "0-media", "{}")


def test_a_watchdog_is_told(fleetd: Fleetd) -> None:
    fleetd.configure({"media": telling(watchdog="90s")})
    assert born_with(fleetd)["environment"]["WATCHDOG_USEC"] == "90000000"


def test_how_it_is_born(fleetd: Fleetd) -> None:
    fleetd.configure({"media": telling(umask="027", nice=5, limits={"nofile": 256, "core": 0}, directory="/tmp")})
    born = born_with(fleetd)
    assert born["directory"] == "/tmp"
    assert (born["umask"], born["nice"]) == (0o027, 5)
    assert (born["nofile"], born["core"]) == ([256, 256], [0, 0])
    assert born["session"] == born["group"] == born["pid"], "in a session of its own"
    assert (born["stdin"], born["joined"]) == ("/dev/null", True)
    assert born["fds"][:3] == [0, 1, 2]
    assert len(born["fds"]) <= 4, "3 is the directory that it lists"
    assert born["blocked"] == []
    assert set(born["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}, "those that Python itself ignores"


def test_env_file_is_under_env(fleetd: Fleetd) -> None:
    file = fleetd.directory / "worker.env"
    file.write_text("# a comment\nFROM_FILE='with spaces'\nBOTH=file\nFLEETD_POOL=nonsense\nexport EXPORTED=1\n\n")
    fleetd.configure({"media": telling(env_file=str(file), env={"BOTH": "table", "PERCENT": "100%", "EMPTY": ""})})
    environment = born_with(fleetd)["environment"]
    assert (environment["FROM_FILE"], environment["BOTH"], environment["FLEETD_POOL"]) == (
        "with spaces",
        "table",
        "media",
    )
    assert (environment["PERCENT"], environment["EMPTY"]) == ("100%", "")


@pytest.mark.root
@as_root
def test_another_user(fleetd: Fleetd) -> None:
    fleetd.directory.chmod(0o755)
    entry = pwd.getpwnam("nobody")
    file = fleetd.directory / "readable.env"
    file.write_text("FROM_FILE=1\n")
    file.chmod(0o644)
    fleetd.configure({"media": telling_as_nobody(umask="077", env_file=str(file), limits={"nofile": 128})})
    born = born_with(fleetd)
    assert born["ids"] == [entry.pw_uid, entry.pw_uid, entry.pw_gid, entry.pw_gid]
    assert set(born["groups"]) == set(os.getgrouplist("nobody", entry.pw_gid))
    environment = born["environment"]
    assert (environment["HOME"], environment["USER"], environment["LOGNAME"]) == (entry.pw_dir, "nobody", "nobody")
    assert (environment["FROM_FILE"], born["umask"], born["nofile"]) == ("1", 0o077, [128, 128])


@pytest.mark.root
@as_root
def test_another_group(fleetd: Fleetd) -> None:
    fleetd.directory.chmod(0o755)
    group = grp.getgrnam("daemon")
    fleetd.configure({"media": telling_as_nobody(group="daemon")})
    assert born_with(fleetd)["ids"][2:] == [group.gr_gid, group.gr_gid]


@pytest.mark.root
@as_root
def test_an_env_file_that_its_user_may_not_read_is_not_read_by_root_instead(fleetd: Fleetd) -> None:
    fleetd.directory.chmod(0o755)
    file = fleetd.directory / "private.env"
    file.write_text("SECRET=1\n")
    file.chmod(0o600)
    fleetd.configure({"media": telling_as_nobody(env_file=str(file))})
    assert f"env-file {file}: permission denied for user nobody" in fleetd.start(code=1).stderr


@pytest.mark.root
@as_root
def test_a_worker_of_another_user_may_speak_and_a_stranger_may_not(fleetd: Fleetd) -> None:
    fleetd.directory.chmod(0o755)
    ready = (
        "import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
        "s.sendto(b'READY=1\\nSTATUS=open for \\x1b[2Jwork', os.environ['NOTIFY_SOCKET']); time.sleep(1000)"
    )
    pool = {"command": ["python3", "-c", ready], "user": "nobody", "ready": "notify", "directory": "/", **SOON}
    fleetd.configure({"media": pool})
    fleetd.start()
    (worker,) = fleetd.pool("media")["workers"]
    assert worker["healthy"]
    assert worker["status"].startswith("open for ")
    assert "\x1b" not in worker["status"]
    path = fleetd.directory / "runtime" / "test" / "notify" / worker["run"]
    assert path.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert path.stat().st_mode & 0o077 == 0


def test_jobs_are_told_by_any_program_that_can_write_to_a_socket(fleetd: Fleetd) -> None:
    fleetd.configure({"media": shell("exec sleep 1000")})
    fleetd.start()
    (worker,) = fleetd.pool("media")["workers"]
    assert (worker["busy"], worker["jobs_done"], fleetd.pool("media")["jobs"]["done"]) == (None, None, None)
    address = str(fleetd.directory / "runtime" / "test" / "notify" / worker["run"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(
            b"X_FLEETD_JOB=started\nX_FLEETD_JOB_ID=17\nX_FLEETD_JOB_NAME=Transcode\nX_FLEETD_QUEUE=high", address
        )
        wait_for(lambda: fleetd.pool("media")["workers"][0]["busy"], "the job in hand")
        (worker,) = fleetd.pool("media")["workers"]
        job = worker["job"]
        assert (job["id"], job["name"], job["queue"], worker["jobs_in_hand"]) == ("17", "Transcode", "high", 1)
        sender.sendto(b"X_FLEETD_JOB=failed\nX_FLEETD_JOB_ID=17", address)
        sender.sendto(b"X_FLEETD_JOB=failed\nX_FLEETD_JOB_ID=17", address)
        wait_for(lambda: fleetd.pool("media")["jobs"]["failed"], "the failure")
    assert fleetd.pool("media")["jobs"]["failed"] == 1, "a job counts once per start"
    assert fleetd.pool("media")["workers"][0]["job"] is None


def test_the_main_process_and_not_its_shell_is_what_fleetd_signals(fleetd: Fleetd) -> None:
    """A command is never given to a shell: its arguments arrive as they are written."""
    fleetd.configure(
        {"media": python("import sys, time; print(sys.argv[1:]); time.sleep(1000)", "a b", "$HOME", "*", "'")}
    )
    fleetd.start()
    wait_for(lambda: "['a b', '$HOME', '*', \"'\"]" in fleetd.run("logs").stdout, "the arguments")
    assert Path(f"/proc/{fleetd.pids('media')['media:0']}/comm").read_text().startswith("python")
