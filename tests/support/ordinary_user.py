"""The `fleetd` command as a user without privileges runs it, where root runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import fleetd
from tests.support.fleetd_cli import Fleetd

UID = 65534
BECOME = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
FOUND_IN = os.pathsep.join([str(Path(fleetd.__file__).parents[1]), sysconfig.get_path("platlib")])
_PROBE = (
    "import subprocess, sys, fleetd.cli.main, msgspec, psutil; subprocess.run([sys.executable, '-c', ''], check=True)"
)


class OrdinaryUsersFleetd(Fleetd):
    """An instance of the user UID, whose directory must be that user's."""

    def _command(self, arguments: Sequence[str]) -> list[str]:
        interpreter = usable_interpreter()
        assert interpreter is not None
        _, *rest = super()._command(arguments)
        return [*BECOME, interpreter, "-m", "fleetd.cli.main", *rest]

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "PYTHONPATH": FOUND_IN, "PYTHONDONTWRITEBYTECODE": "1"}


@cache
def usable_interpreter() -> str | None:
    """A Python with which that user can run this clone; None where it, or the clone, is in a private directory."""
    for interpreter in (sys.executable, "/usr/bin/python3"):
        tried = [*BECOME, interpreter, "-c", _PROBE]
        environment = {**os.environ, "PYTHONPATH": FOUND_IN}
        if subprocess.run(tried, env=environment, capture_output=True, check=False, timeout=30).returncode == 0:
            return interpreter
    return None
