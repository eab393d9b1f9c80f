"""A copy of the package with a launcher of its own: what is installed, and can be changed under a daemon."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.fleetd_cli import Fleetd

PACKAGE = Path(__file__).parents[2] / "fleetd"
LAUNCHER = """\
#!{interpreter}
import sys
sys.path.insert(0, {folder!r})
from fleetd.cli.main import main
sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """The package and its command below `folder`."""

    folder: Path

    @property
    def command(self) -> Path:
        return self.folder / "fleetd-command"

    @property
    def package(self) -> Path:
        return self.folder / "fleetd"

    def install(self, version: str) -> None:
        """Puts a version in the place of the one that is there: today's code under that name."""
        shutil.rmtree(self.package, ignore_errors=True)
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        (self.package / "__init__.py").write_text(f'"""Installed for a test."""\n\n__version__ = "{version}"\n')
        self.launch_by("")

    def launch_by(self, first: str) -> None:
        """Lets the launcher run some lines first."""
        text = LAUNCHER.format(interpreter=sys.executable, folder=str(self.folder))
        self.command.write_text(text.replace("from fleetd", f"{first}\nfrom fleetd", 1))
        self.command.chmod(0o755)

    def change(self, module: str, old: str, new: str) -> None:
        """Changes a line of a module: the pattern `old` must be there once."""
        path = self.package / module
        text, count = re.subn(old, new, path.read_text(), flags=re.MULTILINE)
        assert count == 1, f"{module}: {old!r} is there {count} times"
        path.write_text(text)


@dataclass(slots=True)
class InstalledFleetd(Fleetd):
    """An instance that runs what is installed at `installed`."""

    installed: Installed | None = None

    def _command(self, arguments: Sequence[str]) -> list[str]:
        assert self.installed is not None
        verb, *rest = arguments
        return [*self.inside, str(self.installed.command), verb, "-c", str(self.file), *rest]
