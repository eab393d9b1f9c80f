"""What /proc says of processes: who belongs together, and what they used."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far, or several together."""

    cpu: float  # seconds
    wakeups: int  # voluntary context switches of all threads


@dataclass(frozen=True, slots=True)
class Memory:
    """MB (10^6 bytes) of some processes together."""

    rss: float
    pss: float


def descendants(pid: int) -> list[int]:
    """The processes below `pid`, without it; zombies are not among them."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    zombies: set[int] = set()  # what they left may still be listed as theirs
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
                children[int(parent)].append(int(entry.name))
                if state == b"Z":
                    zombies.add(int(entry.name))
    found: list[int] = []
    unseen = [pid]
    while unseen:
        below = children[unseen.pop()]
        found += below
        unseen += below
    return [pid for pid in found if pid not in zombies]


def usage(pids: Iterable[int]) -> dict[int, Usage]:
    """What each of these processes has used since it began; one that is gone is left out."""
    used: dict[int, Usage] = {}
    for pid in pids:
        cpu = wakeups = 0
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                cpu += int((thread / "schedstat").read_text().split()[0])  # finer than the ticks of utime and stime
                wakeups += _field(thread / "status", b"voluntary_ctxt_switches:")
            used[pid] = Usage(cpu / 1e9, wakeups)
    return used


def spent(before: Mapping[int, Usage]) -> Usage:
    """What the processes of an earlier `usage` have used since then, those that are still there."""
    after = usage(before)
    cpu = sum(used.cpu - before[pid].cpu for pid, used in after.items())
    return Usage(cpu, sum(used.wakeups - before[pid].wakeups for pid, used in after.items()))


def memory(pids: list[int]) -> Memory:
    """What these processes hold now."""
    rss = pss = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup")
            rss += _field(rollup, b"Rss:")
            pss += _field(rollup, b"Pss:")
    return Memory(rss * 1024 / MB, pss * 1024 / MB)


def _field(file: Path, name: bytes) -> int:
    for line in file.read_bytes().splitlines():  # the first line of a status is a name in any bytes
        if line.startswith(name):
            return int(line.split()[1])
    return 0
