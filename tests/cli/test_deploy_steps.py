"""The deploy steps in configs/deploy: each can be read by what it is for, and calls fleetd as fleetd understands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetd.cli.commands import parser_of
from tests.support.fleetd_cli import COMMAND

DEPLOY = Path(__file__).parents[2] / "configs" / "deploy"
FILES = sorted(DEPLOY.iterdir(), key=lambda file: file.name)
NEEDED = ("FLEETD_REDIS", "FLEETD_FLEET")


def calls(text: str) -> Iterator[list[str]]:
    """The words of each call of fleetd in a script, variables as they stand there."""
    for line in text.splitlines():
        if line.strip().startswith("fleetd "):
            words = shlex.split(line.split("||")[0])
            yield words[1:]


def scripts(file: Path) -> str:
    """All that a file has a shell run."""
    if file.suffix == ".sh":
        return file.read_text()
    content: dict[Any, Any] = yaml.safe_load(file.read_text())
    if file.name.startswith("github"):
        return "\n".join(step.get("run", "") for job in content["jobs"].values() for step in job["steps"])
    jobs = [job for job in content.values() if isinstance(job, dict) and "script" in job]
    return "\n".join(line for job in jobs for line in (*job.get("before_script", ()), *job["script"]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_its_call_is_one_that_fleetd_accepts(file: Path) -> None:
    (words,) = calls(scripts(file))
    args = parser_of(words[0]).parse_intermixed_args(words[1:])
    assert words[0] == "restart"
    assert (args.graceful, args.timeout) == (True, 1800.0)
    assert re.fullmatch(r"\$\w+", args.label)
    assert all(name in file.read_text() for name in NEEDED)


def test_there_are_three() -> None:
    assert [file.name for file in FILES] == ["after-symlink.sh", "github-actions.yml", "gitlab-ci.yml"]


def test_the_ci_files_have_what_their_service_wants() -> None:
    github: dict[Any, Any] = yaml.safe_load((DEPLOY / "github-actions.yml").read_text())
    (job,) = github["jobs"].values()
    assert github[True]["push"]  # YAML 1.1 reads `on` as true
    assert job["runs-on"]
    assert set(NEEDED) <= job["env"].keys()
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    gitlab: dict[str, Any] = yaml.safe_load((DEPLOY / "gitlab-ci.yml").read_text())
    assert gitlab["restart-workers"]["stage"] in gitlab["stages"]


@pytest.mark.process
@pytest.mark.parametrize(
    ("environ", "code", "said"),
    [
        ({"FLEETD_REDIS": "redis://127.0.0.1:1/0", "FLEETD_FLEET": "acme"}, 4, "no way to the fleet's Redis"),
        ({"FLEETD_REDIS": "redis://127.0.0.1:1/0"}, 2, "set FLEETD_FLEET too"),
    ],
)
def test_the_shell_step_passes_the_exit_code_on(environ: dict[str, str], code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "releases" / "42").mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "releases" / "42")
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(DEPLOY / "after-symlink.sh")],
        env={"PATH": path, "HOME": "/nonexistent", "RELEASE_LINK": str(tmp_path / "current"), **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert os.access(DEPLOY / "after-symlink.sh", os.X_OK)
