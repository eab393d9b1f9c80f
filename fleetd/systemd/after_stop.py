"""What a unit's ExecStopPost= does: after a deliberate stop nothing is left, after a crash everything is.

With KillMode=process systemd itself ends the daemon only, so that workers outlive it.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fleetd.errors import ExitCode
from fleetd.systemd.systemctl import Systemctl

END_WITHIN = 10.0  # seconds for what was killed to be gone
RETRY_AFTER = 10.0  # seconds until files that are invalid while workers run are tried again
_LOOK_EVERY = 0.5
_POLL = 0.02
_MOUNTS = tuple(map(Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")))
_UNIT = re.compile(r".*/[^/]+\.service(?=/|$)")


class Cgroup(NamedTuple):
    """A unit's, with all that is in it."""

    unit: str
    folder: Path

    @classmethod
    def own(cls) -> Cgroup | None:
        """Of the unit that this process belongs to; None where it belongs to none."""
        with suppress(OSError):
            mounts = Path("/proc/self/mountinfo").read_text().splitlines()
            for line in Path("/proc/self/cgroup").read_text().splitlines():
                number, hierarchy, path = line.split(":", 2)
                found = _UNIT.match(path)
                if found is not None and (number == "0" or hierarchy == "name=systemd"):
                    folder = _mounted(mounts, found[0], None if number == "0" else hierarchy)
                    if folder is not None:
                        return cls(folder.name, folder)
        return None

    def others(self) -> list[int]:
        """The processes in it beside this one."""
        own = os.getpid()
        return [pid for pid in self._pids() if pid != own]

    def kill_others(self) -> bool:
        """SIGKILL to them, again until none is left; False if some are after END_WITHIN.

        A user's unit may hold processes that are not the user's (setuid programs): they are left.
        """
        deadline = time.monotonic() + END_WITHIN
        while left := self.others():
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def _pids(self) -> Iterator[int]:
        for folder, _, _ in os.walk(self.folder):
            with suppress(OSError):
                yield from map(int, Path(folder, "cgroup.procs").read_text().split())


def processes_of(unit: str, control_group: str, folders: Collection[Path] = _MOUNTS) -> list[int]:
    """The processes in a unit's cgroup (`/system.slice/x.service`), by any version of cgroups."""
    found = (folder / control_group.lstrip("/") for folder in folders if control_group.strip("/"))
    return sorted({pid for folder in found for pid in Cgroup(unit, folder).others()})


def _mounted(mounts: list[str], path: str, hierarchy: str | None) -> Path | None:
    """The folder of a cgroup: of version 2, or of a hierarchy of version 1."""
    for mount in mounts:
        fields = mount.split()  # id parent device root mount-point options… - type source super-options
        kind, _, options = fields[fields.index("-") + 1 :][:3]
        is_it = kind == "cgroup2" if hierarchy is None else kind == "cgroup" and hierarchy in options.split(",")
        folder = Path(fields[4] + path)
        if is_it and folder.is_dir():
            return folder
    return None


def after_stop(
    cgroup: Cgroup, systemctl: Systemctl, environ: Mapping[str, str], is_supervised: Callable[[], bool]
) -> str | None:
    """End what is left if the unit is being stopped, or has drained; what was done, in a sentence, or None.

    `environ` says how the daemon ended: EXIT_CODE, EXIT_STATUS of systemd.exec(5).  What a daemon that somebody started
    by hand has taken over is its own: then the instance `is_supervised`.
    """
    how = environ.get("EXIT_CODE", ""), environ.get("EXIT_STATUS", "")
    if how == ("exited", str(int(ExitCode.INVALID))) and not _is_stopping(cgroup, systemctl):
        _wait(cgroup, systemctl)
        if not _is_stopping(cgroup, systemctl):
            return _try_again(cgroup, systemctl)
    elif how != ("exited", str(int(ExitCode.DONE))) and not _is_stopping(cgroup, systemctl):
        return None
    return None if is_supervised() else _end(cgroup)


def _is_stopping(cgroup: Cgroup, systemctl: Systemctl) -> bool:
    return systemctl.job(cgroup.unit) == "stop"


def _end(cgroup: Cgroup) -> str | None:
    left = len(cgroup.others())
    if not left:
        return None
    ended = cgroup.kill_others()
    return f"{left} processes were left after the stop: {'killed' if ended else 'some are still there'}"


def _wait(cgroup: Cgroup, systemctl: Systemctl) -> None:
    """Give whoever is at the files some time, unless no worker runs, or the unit is to stop."""
    deadline = time.monotonic() + RETRY_AFTER
    while cgroup.others() and not _is_stopping(cgroup, systemctl) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)


def _try_again(cgroup: Cgroup, systemctl: Systemctl) -> str | None:
    """Invalid files are final for systemd; but workers run, and want a daemon once the files are right."""
    if not cgroup.others():
        return None
    # Not `start`: that would be taken for the start that has just failed.
    systemctl.run("restart", "--no-block", cgroup.unit)
    return "the pool files are invalid, and workers run without a daemon: trying again"
