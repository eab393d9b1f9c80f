"""What is seen of the host: its limits, its memory, its cgroups, and the unit of the instance."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from fleetd.doctor.host import HostFacts, Unit
from fleetd.errors import FleetdError
from fleetd.shell import cgroup
from fleetd.systemd.stop_time import seconds
from fleetd.systemd.systemctl import Systemctl
from fleetd.systemd.unit import unit_name


def observe(instance: str) -> HostFacts:
    """The host as this process sees it; what is tried in the cgroup is gone afterwards."""
    home = cgroup.own_cgroup()
    return HostFacts(
        kernel=kernel_version(os.uname().release),
        descriptors=_limit(resource.RLIMIT_NOFILE),
        processes=least([_room_in(folder) for folder in _with_parents(home)] + [_room_of_user()]),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        memory_limit=least([_number(folder / "memory.max") for folder in _with_parents(home)]),
        has_cgroups=_can_make_cgroups(),
        is_root=os.geteuid() == 0,
        unit=_unit(instance),
    )


def kernel_version(release: str) -> tuple[int, int]:
    """Of "6.1.0-18-amd64" the 6 and the 1."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def least(limits: list[int | None]) -> int | None:
    """The narrowest of several limits; None: there is none."""
    return min((limit for limit in limits if limit is not None), default=None)


def unit_facts(name: str, value: Callable[[str], str]) -> Unit | None:
    """A unit by its properties as `systemctl show` has them; None where it is not installed."""
    if value("LoadState") != "loaded":
        return None
    return Unit(name, seconds(value("TimeoutStopUSec")), _whole(value("LimitNOFILE")), _whole(value("TasksMax")))


def _unit(instance: str) -> Unit | None:
    """The unit of the system, else that of the caller's own manager."""
    name = unit_name(instance)
    for manager in (Systemctl(for_user=False), Systemctl(for_user=True)):
        with contextlib.suppress(FleetdError):
            manager.check()
            found = unit_facts(name, lambda key, manager=manager: manager.value(name, key))  # type: ignore[misc]
            if found is not None:
                return found
    return None


def _can_make_cgroups() -> bool:
    folder = cgroup.usable_folder(f"fleetd-doctor-{os.getpid()}")
    if folder is not None:
        cgroup.remove(str(folder))
    return folder is not None


def _limit(kind: int) -> int | None:
    hard = resource.getrlimit(kind)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def _with_parents(home: Path | None) -> Iterator[Path]:
    """The cgroup's folder and those above it that have a limit's files."""
    if home is not None:
        yield from (folder for folder in (home, *home.parents) if (folder / "cgroup.procs").exists())


def _room_in(folder: Path) -> int | None:
    most, now = _number(folder / "pids.max"), _number(folder / "pids.current")
    return None if most is None or now is None else max(0, most - now)


def _room_of_user() -> int | None:
    """What RLIMIT_NPROC leaves an ordinary user, whose processes and threads count; root has no such limit."""
    most = _limit(resource.RLIMIT_NPROC)
    if most is None or os.geteuid() == 0:
        return None
    threads = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            if fields["Uid"].split()[0] == str(os.getuid()):
                threads += int(fields["Threads"])
    return max(0, most - threads)


def _number(path: Path) -> int | None:
    """The number in a file of a cgroup; None for "max", and where there is no such file."""
    try:
        return _whole(path.read_text().strip())
    except OSError:
        return None


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
