"""All that a run started: whether anything is left of it, and its end (P1)."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from fleetd.shell import cgroup
from fleetd.shell.hunt import KILL_SECONDS, LONGEST_WAIT, SHORTEST_WAIT, Hunt

TRIES = 20  # to remove a cgroup in which something is still ending


class Trees:
    """The trees of an instance's runs: each in a cgroup of its own where there can be one, else found in /proc."""

    def __init__(self, folder: Path | None) -> None:
        """`folder`: where runs get their cgroups (see `cgroup.usable_folder`), or None."""
        self._folder = folder
        self._paths: dict[str, str | None] = {}
        self._prepared: str | None = None
        self._over: list[tuple[str, int]] = []  # to be removed, and how often that is tried
        self._keeper: int | None = None
        self._hunt = Hunt()

    @property
    def guaranteed(self) -> bool:
        """Whether new runs get cgroups, so that nothing they start can escape."""
        return self._folder is not None

    def serve(self, keeper: int | None) -> None:
        """Runs are born under this keeper from now on."""
        self._keeper = keeper
        self._hunt.serve(keeper)

    def prepare(self) -> str | None:
        """Make the cgroup that the next run is to be born in, once; None where there is none to be had."""
        if self._prepared is None:
            self._prepared = self._make(os.urandom(16).hex())
        return self._prepared

    def path_for(self, run: str, *, is_forked: bool = False) -> str | None:
        """The cgroup that a run is to be in: what was prepared, or a new one; None where there is none.

        One that `is_forked` from a template is not born where the keeper is.
        """
        self._hunt.expect(run)
        path = None if is_forked else self._prepared
        if path is None:
            path = self._make(run)
        else:
            self._prepared = None
        if path is not None:
            self._paths[run] = path
        return path

    def _make(self, name: str) -> str | None:
        if self._folder is None:
            return None
        path = f"{self._folder}/{name}"
        try:
            os.mkdir(path)
        except FileExistsError:
            pass
        except OSError:
            return None
        return path

    def adopt(self, run: str, leader: int, path: str | None, *, foreign: bool = False) -> None:
        """A run's main process is `leader`, and lives in this cgroup, or in none."""
        self._paths[run] = path
        self._hunt.adopt(run, leader, foreign=foreign)

    def forget(self, run: str) -> None:
        """The run is over; its cgroup goes with the next `tidy`."""
        self._hunt.forget(run)
        path = self._paths.pop(run, None)
        if path is not None:
            self._over.append((path, TRIES))

    def tidy(self) -> bool:
        """Remove the cgroups of runs that are over; whether some, in which something is ending, have to be tried again.

        Not done at once, as that waits for a keeper that moves just then.
        """
        self._over = [(path, tries - 1) for path, tries in self._over if not cgroup.remove(path) and tries > 1]
        return bool(self._over)

    def sweep(self) -> None:
        """End and remove what an earlier daemon left of runs that nobody holds; where the keeper waits, nothing is."""
        if self._folder is not None and self._folder.exists():
            known = {self._prepared, *self._paths.values()}
            for path in self._folder.iterdir():
                if path.is_dir() and str(path) not in known:
                    if self._keeper not in cgroup.members(str(path)):
                        cgroup.kill_all(str(path))
                    self._over.append((str(path), TRIES))
            self.tidy()

    def remove(self) -> None:
        """Remove the instance's own cgroup, when nothing is left in it."""
        self._prepared = None
        if self._folder is not None:
            self.sweep()
            cgroup.remove(str(self._folder))

    def had_oom_kill(self, run: str) -> bool:
        """Whether the kernel killed something of the run for want of memory, as far as its cgroup says."""
        path = self._paths.get(run)
        return path is not None and cgroup.had_oom_kill(path)

    def invalidate(self) -> None:
        """Some main processes have ended: what was seen in /proc before is old."""
        self._hunt.invalidate()

    def is_empty(self, run: str) -> bool:
        """Whether nothing is left of a run whose main process has ended.

        One small read with a cgroup; else one look at the keeper's children, or at /proc, for all that ended together.
        """
        path = self._paths.get(run)
        return self._hunt.is_empty(run) if path is None else not cgroup.populated(path)

    def strays(self) -> tuple[int, ...]:
        """Processes that some run started and that have left it in every way; only where there are no cgroups (P1)."""
        return () if self.guaranteed else self._hunt.strays()

    async def kill(self, run: str) -> tuple[int, ...]:
        """SIGKILL to everything the run started, again until nothing is left; the pids that were given up."""
        path = self._paths.get(run)
        if path is None:
            return await self._hunt.kill(run)
        deadline = time.monotonic() + KILL_SECONDS
        wait = SHORTEST_WAIT
        while cgroup.populated(path):
            cgroup.kill_all(path)
            if time.monotonic() >= deadline:
                return cgroup.members(path)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)
        return ()
