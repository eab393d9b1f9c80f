"""Which daemon a command is for, as subprocesses of a user with a runtime directory of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.control_server import serving
from tests.support.fleetd_cli import COMMAND
from tests.support.open_clone import found_in
from tests.support.ordinary_user import BECOME, UID, everyones_python

AS_NOBODY = os.geteuid() == 0


@pytest.fixture
def runtime(short_path: Path) -> Path:
    """XDG_RUNTIME_DIR of the user."""
    if AS_NOBODY:
        short_path.chmod(0o755)
    return short_path


@pytest.fixture
def daemons(runtime: Path) -> Iterator[None]:
    """Two servers where daemons would listen, which answer the user."""
    with ExitStack() as stack:
        for name in ("mail", "media"):
            directory = runtime / "fleetd" / name
            directory.mkdir(parents=True)
            stack.enter_context(serving(directory / "control.sock"))
            if AS_NOBODY:
                (directory / "control.sock").chmod(0o666)
        yield


def fleetd(runtime: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*BECOME, everyones_python(), "-m", "fleetd.cli.main"] if AS_NOBODY else [str(COMMAND)]
    found = {"PYTHONPATH": found_in()} if AS_NOBODY else {}
    return subprocess.run(
        [*command, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "XDG_RUNTIME_DIR": str(runtime), **found},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_several_and_none_named_is_exit_code_2_with_their_names(runtime: Path, daemons: None) -> None:
    done = fleetd(runtime, "status")
    assert (done.returncode, done.stdout) == (2, "")
    assert "several daemons are running (mail, media" in done.stderr
    assert done.stderr.endswith("say which with --instance NAME or -c FILE\n")


@pytest.mark.parametrize("which", [["--instance", "media"], ["-c", "/nonexistent/media.toml"]])
def test_one_is_named(runtime: Path, daemons: None, which: list[str]) -> None:
    done = fleetd(runtime, "status", *which)
    # A refusal shows that a server was asked: root's has no ear for the user, the user's own has no such verb.
    code, answer = (1, f"user {UID} (pid ") if AS_NOBODY else (2, "the daemon knows no verb 'status'")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"fleetd status: {answer}")


def test_a_name_that_does_not_run_is_exit_code_3(runtime: Path, daemons: None) -> None:
    done = fleetd(runtime, "status", "--instance", "api")
    assert done.returncode == 3
    assert f"no daemon of instance 'api' is running in {runtime}/fleetd or /run/fleetd" in done.stderr


def test_a_file_that_does_not_exist_is_said_to_where_no_daemon_runs_for_it(runtime: Path) -> None:
    done = fleetd(runtime, "status", "-c", "/nonexistent/media.toml")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(
        "fleetd status: /nonexistent/media.toml does not exist, and no daemon of instance 'media' is running in "
    )


def test_a_file_that_may_not_be_looked_for_is_not_said_to_be_missing(runtime: Path) -> None:
    closed = runtime / "closed"
    closed.mkdir(mode=0)
    done = fleetd(runtime, "status", "-c", str(closed / "media.toml"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("fleetd status: no daemon of instance 'media' is running in ")


def test_none_is_exit_code_3(runtime: Path) -> None:
    if Path("/run/fleetd").is_dir() and any(Path("/run/fleetd").iterdir()):
        pytest.skip("a daemon of this host may be running in /run/fleetd")
    done = fleetd(runtime, "status")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(
        f"fleetd status: no daemon is running in {runtime}/fleetd or /run/fleetd: start it with"
    )
