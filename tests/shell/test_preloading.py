"""What is asked of a template: the interpreter of a command, its program, and what a template is not told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetd.core.effects import Spawn
from fleetd.core.facts import Kind
from fleetd.core.spec import Launch
from fleetd.shell.preloading import Program, preload_of, python_program, template_facts
from fleetd.shell.spawn_request import LaunchError


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("python3 work.py a b", Program(("python3",), "script", "work.py", ("a", "b"))),
        ("/venv/bin/python3.12 -m celery worker", Program(("/venv/bin/python3.12",), "module", "celery", ("worker",))),
        ("python -u -X dev -W error -mjobs x", Program(("python", "-u", "-X", "dev", "-W", "error"), "module", "jobs",
                                                       ("x",))),
        ("python -Xdev -B ./work.py -m x", Program(("python", "-Xdev", "-B"), "script", "./work.py", ("-m", "x"))),
    ],
)  # fmt: skip
def test_an_interpreter_that_is_called(command: str, program: Program) -> None:
    assert python_program(tuple(command.split()), "/bin", Path("/")) == program


@pytest.mark.parametrize("command", ["python3", "python3 -u", "python3 -m", "python3 -c pass", "python3 -"])
def test_an_interpreter_that_is_called_for_nothing_that_can_be_run_again(command: str) -> None:
    with pytest.raises(LaunchError, match="names neither a script nor a module"):
        python_program(tuple(command.split()), "/bin", Path("/"))


@pytest.mark.parametrize(
    ("head", "interpreter"),
    [
        ("#!/venv/bin/python3\n", ("/venv/bin/python3",)),
        ("#! /usr/bin/python3 -sE\nimport os", ("/usr/bin/python3", "-sE")),
        ("#!/usr/bin/env python3\n", ("python3",)),
        ("#!/usr/bin/env -S A=1 python3 -u\n", ("python3", "-u")),
        ("#!/bin/sh\n'''exec' \"/a folder/python\" \"$0\" \"$@\"\n' '''\n", ("/a folder/python",)),
    ],
)
def test_a_script_names_its_interpreter(tmp_path: Path, head: str, interpreter: tuple[str, ...]) -> None:
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin", "rq", head)
    expected = Program(interpreter, "script", "rq", ("worker",))
    assert python_program(("rq", "worker"), f"/nowhere:{tmp_path}/bin", Path("/")) == expected
    assert python_program(("rq", "worker"), "/nowhere:bin", tmp_path) == expected, "PATH from the directory"
    assert python_program(("bin/rq",), "", tmp_path) == Program(interpreter, "script", "bin/rq")


@pytest.mark.parametrize("head", ["#!/bin/sh\nexec python3\n", "\x7fELF", "", "#!/usr/bin/env\n", "#!/usr/bin/php\n"])
def test_what_is_no_python_program(tmp_path: Path, head: str) -> None:
    path = script(tmp_path, "work", head)
    with pytest.raises(LaunchError, match=f"^preload: {path} is no Python program"):
        python_program((str(path),), "", Path("/"))


def test_a_command_that_is_not_there_or_blocks_who_opens_it(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="command rq: not found in PATH"):
        python_program(("rq",), str(tmp_path), Path("/"))
    with pytest.raises(LaunchError, match="command rq: not found in PATH"):
        python_program(("rq",), f"/{'x' * 300}:{tmp_path}", Path("/"))  # a folder that cannot be looked into
    with pytest.raises(LaunchError, match="no such file"):
        python_program(("./rq",), "", tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(LaunchError, match="is not a file"):
        python_program(("./fifo",), "", tmp_path)


def asked(launch: Launch, env: dict[str, str]) -> dict[str, object]:
    spawn = Spawn("r1", "media", 3, launch, None, 7, None, generation=4, start_timeout=30.0)
    return preload_of(spawn, launch.command, env, "/srv")


def test_a_template_is_not_told_what_is_one_workers_own() -> None:
    env = {"GPU": "3", "BOTH": "x{{3", "NODE": "r1", "SAME": "s", "BRACE": "{slot}", "PATH": "/bin", "FLEETD_RUN": "r1",
           "NOTIFY_SOCKET": "/n", "FLEETD_SLOT": "3", "FLEETD_POOL": "media"}  # fmt: skip
    templates = {"GPU": "{slot}", "BOTH": "x{{{epoch}", "NODE": "{run}", "SAME": "{pool}", "BRACE": "{{slot}"}
    request = asked(Launch((), entry="jobs:main", preload=("jobs",), env=templates), env)
    assert request == {
        "pool": "media", "generation": 4, "timeout": 30.0, "python": ("python3",), "modules": ("jobs",),
        "run": ("entry", "jobs:main"), "arguments": (),
        "own": ["BOTH", "FLEETD_RUN", "FLEETD_SLOT", "GPU", "NODE", "NOTIFY_SOCKET"],
    }  # fmt: skip


def test_the_pools_own_interpreter_goes_before_that_of_the_command() -> None:
    request = asked(Launch(("python3", "-u", "work.py"), preload=("jobs",), python="/venv/bin/python"), {})
    assert request["python"] == ("/venv/bin/python", "-u")


def test_threads_are_told_when_a_template_is_ready() -> None:
    report = {"event": "template", "what": "ready", "pool": "media", "pid": 7, "directory": "/srv", "rss": 1,
              "seconds": 0.1, "threads": 1}  # fmt: skip
    assert [fact.kind for fact in template_facts(report)] == [Kind.TEMPLATE_READY]
    _, threaded = template_facts(report | {"threads": 3})
    assert (threaded.kind, threaded.pool, threaded.fields) == (
        Kind.TEMPLATE_THREADED,
        "media",
        {"pid": 7, "threads": 3},
    )
    assert list(template_facts(report | {"what": "of a newer keeper"})) == []
