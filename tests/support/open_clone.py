"""This clone where every user may read it: tests run workers, and fleetd itself, as others than root."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

import fleetd

CLONE = Path(__file__).parents[2]
PACKAGES = Path(sysconfig.get_path("platlib"))
_VARIABLE = "TESTS_OPEN_CLONE"  # where the copy is, for the processes that this one starts


@cache
def open_clone() -> Path:
    """This clone; of one in a private directory of root's, a copy of fleetd, the tests and what fleetd needs.

    The copy goes with the process that was the first to ask.
    """
    if os.geteuid() != 0 or all(map(_is_open, (Path(__file__), Path(fleetd.__file__), Path(psutil.__file__)))):
        return CLONE
    if _VARIABLE not in os.environ:
        os.environ[_VARIABLE] = str(_copied())
    return Path(os.environ[_VARIABLE])


def readable(path: Path) -> Path:
    """The same file of this clone where every user may read it."""
    return open_clone() / path.relative_to(CLONE)


def found_in() -> str:
    """The PYTHONPATH with which every user finds fleetd, the tests, and what fleetd needs."""
    clone = open_clone()
    return os.pathsep.join(map(str, (CLONE, PACKAGES) if clone == CLONE else (clone,)))


def _is_open(file: Path) -> bool:
    """Whether every user may read a file of a package, and list the directories of the package and of its path."""
    package, path, *above = file.parents
    listed = all(each.stat().st_mode & 0o005 == 0o005 for each in (package, path))
    return bool(file.stat().st_mode & 0o004) and listed and all(each.stat().st_mode & 0o001 for each in above)


def _copied() -> Path:
    copy = Path(tempfile.mkdtemp(prefix="fleetd-for-all-", dir="/tmp"))
    atexit.register(shutil.rmtree, copy)
    for package in ("fleetd", "tests"):
        shutil.copytree(CLONE / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in _files_of_requirements("fleetd"):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGES / file, copy / file)
    subprocess.run(["chmod", "-R", "go+rX", copy], check=True)
    return copy


def _files_of_requirements(name: str) -> Iterator[Path]:
    """All files of the packages that a package needs, below the directory of packages."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - no need of fleetd's: the copy is without

    for line in metadata.requires(name) or ():
        required = Requirement(line)
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            for file in metadata.files(required.name) or ():
                if ".." not in file.parts and file.suffix != ".pyc":  # no commands, and nothing that may be gone
                    yield Path(file)
            yield from _files_of_requirements(required.name)
