"""The `fleetd` command as a user without privileges runs it, where root runs the tests."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import fleetd
from tests.support.fleetd_cli import Fleetd
from tests.support.requirement import need

UID = 65534
BECOME = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
_CLONE = Path(fleetd.__file__).parents[1]
_PACKAGES = Path(sysconfig.get_path("platlib"))
_PROBE = (
    "import subprocess, sys, fleetd.cli.main, msgspec, psutil; subprocess.run([sys.executable, '-c', ''], check=True)"
)


class EveryonesFleetd(Fleetd):
    """An instance of root's that workers of every user can read."""

    def _command(self, arguments: Sequence[str]) -> list[str]:
        _, *rest = super()._command(arguments)
        return [everyones_python(), "-m", "fleetd.cli.main", *rest]

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "PYTHONPATH": found_in(), "PYTHONDONTWRITEBYTECODE": "1"}


class OrdinaryUsersFleetd(EveryonesFleetd):
    """An instance of the user UID, whose directory must be that user's."""

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [*BECOME, *super()._command(arguments)]


@dataclass(frozen=True, slots=True)
class _Reach:
    """What every user may run: this clone and its Python, or a copy where they are in somebody's private directory."""

    clone: Path
    found_in: str
    python: str | None


def everyones_python() -> str:
    """A Python with which every user can run fleetd; without one the test is skipped, or fails in CI."""
    python = usable_python()
    need(python, "a Python of this version that other users may run")
    assert python is not None
    return python


def usable_python() -> str | None:
    """The same, or None where there is none."""
    return _reach().python


def found_in() -> str:
    """The PYTHONPATH with which that Python finds fleetd, the tests and what fleetd needs."""
    return _reach().found_in


def readable(path: Path) -> Path:
    """The same file of this clone where every user may read it."""
    return _reach().clone / path.relative_to(_CLONE)


@cache
def _reach() -> _Reach:
    assert os.geteuid() == 0, "only root becomes another user"
    here = os.pathsep.join(map(str, (_CLONE, _PACKAGES)))
    if (python := _python_that_runs(here)) is not None:
        return _Reach(_CLONE, here, python)
    copy = _copied()
    return _Reach(copy, str(copy), _python_that_runs(str(copy)))


def _python_that_runs(found_in: str) -> str | None:
    """The first Python with which that user can run what is there."""
    for python in (sys.executable, os.path.realpath(sys.executable), "/usr/bin/python3"):
        done = subprocess.run(
            [*BECOME, python, "-c", _PROBE],
            env={**os.environ, "PYTHONPATH": found_in}, cwd="/", capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        if done.returncode == 0:
            return python
    return None


def _copied() -> Path:
    """A directory for everybody with fleetd, the tests and what fleetd needs; it goes with this process."""
    copy = Path(tempfile.mkdtemp(prefix="fleetd-for-all-"))
    atexit.register(shutil.rmtree, copy)
    for package in ("fleetd", "tests"):
        shutil.copytree(_CLONE / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in _files_of_requirements("fleetd"):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_PACKAGES / file, copy / file)
    subprocess.run(["chmod", "-R", "go+rX", copy], check=True)
    return copy


def _files_of_requirements(name: str) -> Iterator[Path]:
    """All files of the packages that a package needs, below the directory of packages."""
    for line in metadata.requires(name) or ():
        required = Requirement(line)
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            for file in metadata.files(required.name) or ():
                if ".." not in file.parts:  # a command
                    yield Path(file)
            yield from _files_of_requirements(required.name)
