"""A deployment directory as deploy tools make it: releases/N and a `current` symlink that is switched atomically."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of the application whose files stand in `source`."""

    root: Path
    source: Path

    @property
    def current(self) -> Path:
        """The symlink that a pool file names as its directory."""
        return self.root / "current"

    def release(self, name: str) -> Path:
        """The directory of a release."""
        return self.root / "releases" / name

    def deploy(self, name: str) -> Path:
        """Copies the application to releases/NAME without switching to it."""
        release = self.release(name)
        shutil.copytree(self.source, release, ignore=shutil.ignore_patterns("__pycache__"))
        return release

    def switch(self, name: str) -> None:
        """Makes `current` point to releases/NAME."""
        fresh = self.root / "current.next"
        fresh.symlink_to(Path("releases") / name)
        fresh.replace(self.current)
