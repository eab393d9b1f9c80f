"""Starts that are rehearsed with real users, directories and programs, and probes that run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fleetd.config.load import Loaded
from fleetd.doctor import frameworks, rehearsal, workers
from fleetd.doctor.rehearsal import Output, probe
from fleetd.doctor.report import Told, Verdict
from tests.support.pool_files import load_text
from tests.support.process_world import alive
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

TRUE = 'command = "true"\n'
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")


def loaded(keys: str, **environ: str) -> Loaded:
    found = load_text(f"[pool.media]\n{keys}", **environ)
    assert not found.problems
    return found


def told(keys: str) -> list[Told]:
    found = loaded(keys)
    assert found.spec is not None
    pool = found.pools["media"]
    return list(workers.judge(pool, workers.observe(found.spec, pool)))


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def output_of(keys: str) -> Output:
    """What the pool's command prints, run as a probe."""
    found = loaded(keys)
    assert found.spec is not None
    (start,) = workers.observe(found.spec, found.pools["media"])
    assert start.request is not None
    return probe(start.request)


def test_a_worker_that_can_be_started(tmp_path: Path) -> None:
    (found,) = told(f'command = "sh -c true"\ndirectory = "{tmp_path}"')
    assert found.verdict is Verdict.OK
    assert found.what.endswith(f"/sh can be started in {tmp_path}")


@pytest.mark.parametrize(
    ("keys", "check", "what", "key"),
    [
        ('command = "no-such-program"', "program", "command no-such-program: not found in PATH", "command"),
        ('command = "/nonexistent/worker"', "program", "command /nonexistent/worker: no such file", "command"),
        ('command = "/etc/passwd"', "program", "command /etc/passwd: permission denied", "command"),
        (TRUE + 'directory = "/nonexistent"', "directory", "directory /nonexistent: no such file", "directory"),
        (TRUE + 'directory = "/etc/passwd"', "directory", "directory /etc/passwd: not a directory", "directory"),
        (TRUE + 'env-file = "/nonexistent"', "env-file", "env-file /nonexistent: no such file", "env-file"),
        (TRUE + 'user = "no-such-user"', "user", "user no-such-user does not exist on this host", "user"),
        (TRUE + 'group = "no-such-group"', "user", "group no-such-group does not exist", "group"),
        (TRUE + "cpu-affinity = [4000]", "limits", "cpu-affinity 4000: invalid argument", "cpu-affinity"),
        ('entry = "app:run"\npython = "/nonexistent/python"', "program", "/nonexistent/python: no such", "command"),
        ('preload = ["app"]\ncommand = "sh -c true"', "program", "is no Python program", "preload"),
    ],
)  # fmt: skip
def test_what_is_in_the_way(keys: str, check: str, what: str, key: str) -> None:
    (found,) = told(keys)
    assert (found.check, found.verdict, what in found.what) == (check, Verdict.ERROR, True), found
    assert found.place is not None
    assert found.place.key == f"pool.media.{key}"
    lines = ["[pool.media]", *keys.splitlines()]
    assert lines[found.place.where.line - 1].startswith((key, "[pool.media]"))
    assert found.why
    assert found.remedy


def test_all_that_is_in_the_way_is_said_at_once() -> None:
    found = told('command = "no-such-program"\ndirectory = "/nonexistent"\nenv-file = "/nonexistent/env"')
    assert [each.check for each in found] == ["directory", "env-file", "program"]
    found = told('command = "./worker"\ndirectory = "/nonexistent"')
    assert [each.check for each in found] == ["directory"], "where the worker would be is not known"


def test_a_script_whose_interpreter_has_gone(tmp_path: Path) -> None:
    worker = script(tmp_path / "worker", "#!/nonexistent/python\n")
    (found,) = told(f'command = "{worker}"')
    assert found.what == f"command {worker}: its interpreter /nonexistent/python does not exist"


def test_a_line_of_an_env_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=1\nsecret value\n")
    (found,) = told(f'command = "true"\nenv-file = "{tmp_path}/env"')
    assert found.what == f"env-file {tmp_path}/env, line 2: has no ="


def test_each_slot_that_differs_is_rehearsed(tmp_path: Path) -> None:
    for slot in (0, 1, 3):
        (tmp_path / f"gpu-{slot}").mkdir()
    found = told(f'command = "true"\nnumprocs = 4\ndirectory = "{tmp_path}/gpu-{{slot}}"')
    assert [each.verdict for each in found] == [Verdict.OK, Verdict.OK, Verdict.ERROR, Verdict.OK]
    assert "gpu-2" in found[2].what
    assert len(told('command = "true"\nnumprocs = 4')) == 1
    everywhere = told(f'command = "no-such-program"\nnumprocs = 2\ndirectory = "{tmp_path}/gpu-{{slot}}"')
    assert [each.check for each in everywhere] == ["program"], "what is the same for all is told once"


@pytest.mark.root
@as_root
def test_what_another_user_may_not_see(short_path: Path) -> None:
    short_path.chmod(0o755)
    closed = short_path / "closed"
    closed.mkdir(mode=0o700)
    script(short_path / "env", "A=1\n", 0o600)
    script(short_path / "worker", "#!/bin/sh\n", 0o700)
    found = told(
        f'user = "nobody"\ncommand = "{short_path}/worker"\ndirectory = "{closed}"\nenv-file = "{short_path}/env"'
    )
    assert [each.check for each in found] == ["directory", "env-file"]
    assert all("permission denied for user nobody" in each.what for each in found)
    (found_program,) = told(f'user = "nobody"\ncommand = "{short_path}/worker"\ndirectory = "/"')
    assert found_program.what == f"command {short_path}/worker: permission denied for user nobody"


@not_root
def test_who_is_not_root_becomes_nobody_else() -> None:
    (found,) = told('user = "root"\ncommand = "true"')
    assert (found.check, found.what) == ("user", "cannot become user root or its groups: operation not permitted")


# -- probes ------------------------------------------------------------------------------------------------------------


def test_a_probe_runs_as_a_worker_would(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("B=two\nA=wrong\n")
    asked = output_of(
        f"command = ['sh', '-c', 'echo $A $B $FLEETD_POOL $(pwd) $(umask); echo no >&2']\ndirectory = '{tmp_path}'\n"
        f"env = {{ A = 'one' }}\numask = '027'\nenv-file = '{tmp_path}/env'"
    )
    assert asked == Output(f"one two media {tmp_path} 0027\n", 0)


def test_how_a_probe_ends() -> None:
    assert output_of('command = ["sh", "-c", "echo said; exit 3"]') == Output("said\n", 3)


def test_a_probe_that_hangs_is_killed_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    for longest in (0.5, 4.0, 20.0):  # until it has come so far meanwhile
        monkeypatch.setattr(rehearsal, "LONGEST_PROBE", longest)
        began = time.monotonic()
        asked = output_of(f"command = ['sh', '-c', 'sleep 1000 & echo $! > {pid}.new; mv {pid}.new {pid}; sleep 1000']")
        assert asked == Output("", None)
        assert time.monotonic() - began < longest + 20
        if pid.exists():
            break
    child = int(pid.read_text())
    wait_for(lambda: not alive(child), "what the probe started to end")


def test_a_probe_that_prints_without_end_is_read_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = output_of('command = ["sh", "-c", "exec yes"]')
    assert rehearsal.MOST_OUTPUT <= len(asked.text) < 2 * rehearsal.MOST_OUTPUT
    assert asked.code != 0


@pytest.mark.root
@as_root
def test_a_probe_of_another_user() -> None:
    assert output_of('user = "nobody"\ndirectory = "/"\ncommand = ["sh", "-c", "id -un; echo $HOME"]').text.startswith(
        "nobody\n"
    )


def test_values_of_the_environment_are_not_shown(tmp_path: Path) -> None:
    rq = script(tmp_path / "secret-rq", "#!/bin/sh\necho rq, version 2.6.0\n")
    found = loaded('framework = "rq"\nqueues = ["a"]\n[pool.media.options]\nrq = "${RQ}"', RQ=str(rq))
    assert found.spec is not None
    (start,) = workers.observe(found.spec, found.pools["media"])
    assert start.request is not None
    (probed,) = frameworks.observe(found.pools["media"], start.request)
    assert (probed.command, probed.answer) == ("${RQ} --version", "2.6.0")
