"""An application of releases whose workers are preloaded, and what they said of themselves."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fleetd_cli import Fleetd
from tests.support.ordinary_user import usable_python
from tests.support.releases import Releases
from tests.support.waiting import wait_for
from tests.support.worker_pools import SOON

SOURCE = Path(__file__).parents[1] / "apps" / "preload"

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PreloadApp:
    """The releases below `root`, to which workers also write."""

    root: Path
    releases: Releases

    def pool(self, function: str = "work", **keys: Any) -> Told:
        """A pool of workers that call a function of the application."""
        env = {"PRELOAD_ROOT": str(self.root), **keys.pop("env", {})}
        entry = {"entry": f"preloaded:{function}", "python": interpreter(), "directory": str(self.releases.current)}
        return {**SOON, **entry, "env": env, **{key.replace("_", "-"): value for key, value in keys.items()}}

    def told(self, slot: int = 0, *, by: int | None = None) -> Told:
        """What the worker of a slot said, or the one with the pid `by`."""

        def said() -> Told | None:
            path = self.root / f"worker-{slot}"
            told: Told | None = json.loads(path.read_text()) if path.exists() else None
            return told if told is not None and by in {None, told["pid"]} else None

        told = wait_for(said, f"the words of slot {slot}")
        assert told is not None
        return told

    def imports(self) -> list[str]:
        """The release of each import that there was."""
        return [line.split()[0] for line in (self.root / "imports").read_text().splitlines()]

    def edit(self, name: str, before: str, after: str) -> None:
        """Change a release."""
        module = self.releases.release(name) / "preloaded.py"
        text = module.read_text()
        assert before in text
        module.write_text(text.replace(before, after))


def interpreter() -> str:
    """A Python that an ordinary user may run, too, where there is one."""
    return (usable_python() if os.geteuid() == 0 else None) or sys.executable


def preload_app(root: Path) -> PreloadApp:
    """The application with release 1, below a directory that its workers may write to."""
    app = PreloadApp(root, Releases(root, SOURCE))
    app.releases.deploy("1")
    app.releases.switch("1")
    return app


def new_worker(fleetd: Fleetd, pool: str, worker: str, before: int) -> int:
    """The pid of the worker that has followed another."""
    return wait_for(lambda: fleetd.pids(pool).get(worker, before) != before and fleetd.pids(pool)[worker], "another")
