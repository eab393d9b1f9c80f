"""The environment of the peers from PyPI: their own, so that nothing of theirs gets into fleetd's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.programs import MissingError

PACKAGES = ("supervisor>=4.3", "circus>=0.19")
TO_INSTALL = 300.0  # seconds


def environment(home: Path) -> Path:
    """The folder of their commands below `home`, installed at the first time; raises MissingError if that fails."""
    folder = home / "peers"
    stamp = folder / "installed"
    if not stamp.exists():
        try:
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            _run(str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", *PACKAGES)
        except (OSError, subprocess.SubprocessError) as error:
            raise MissingError(f"{', '.join(PACKAGES)} cannot be installed from PyPI: {error}") from error
        stamp.touch()
    return folder / "bin"


def version_of(package: str, commands: Path) -> str:
    """Which version was installed."""
    question = f"from importlib.metadata import version; print(version({package!r}))"
    command = [str(commands / "python"), "-c", question]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=TO_INSTALL)
