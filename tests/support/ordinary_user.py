"""The `fleetd` command as a user without privileges runs it, where root runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.support.fleetd_cli import Fleetd
from tests.support.open_clone import found_in, open_clone
from tests.support.requirement import need

UID = 65534
BECOME = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
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

    def _working_directory(self) -> Path:
        return open_clone()


class OrdinaryUsersFleetd(EveryonesFleetd):
    """An instance of the user UID, whose directory must be that user's."""

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [*BECOME, *super()._command(arguments)]


def everyones_python() -> str:
    """A Python with which every user can run fleetd; without one the test is skipped, or fails in CI."""
    python = usable_python()
    need(python, f"a Python of this version with which other users can run what is in {open_clone()}")
    assert python is not None
    return python


@cache
def usable_python() -> str | None:
    """The same, or None where there is none."""
    assert os.geteuid() == 0, "only root becomes another user"
    for python in (sys.executable, os.path.realpath(sys.executable), "/usr/bin/python3"):
        done = subprocess.run(
            [*BECOME, python, "-c", _PROBE],
            env={**os.environ, "PYTHONPATH": found_in()}, cwd="/", capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        if done.returncode == 0:
            return python
    return None
