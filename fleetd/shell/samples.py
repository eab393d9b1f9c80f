"""Memory and CPU of processes, measured when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from fleetd.core.spec import Bytes
from fleetd.shell.proc import Usage, usage_of

SETTLED = 0.5  # seconds between two measurements that make a CPU share


class Samples:
    """Measures by run, so that CPU shares are over the time since the last measurement (at first, over its life)."""

    def __init__(self) -> None:
        self._cpu: dict[str, tuple[float, float, float | None]] = {}  # when, CPU seconds, the share then

    def measure(self, pids: Mapping[str, int]) -> dict[str, tuple[Bytes, float | None]]:
        """Resident bytes and percent of a core, of the runs whose processes live."""
        measured: dict[str, tuple[Bytes, float | None]] = {}
        for run, pid in pids.items():
            usage = usage_of(pid)
            if usage is not None:
                measured[run] = (usage.resident, self._share(run, usage))
        self._cpu = {run: cpu for run, cpu in self._cpu.items() if run in pids}
        return measured

    def _share(self, run: str, usage: Usage) -> float | None:
        now = time.monotonic()
        before = self._cpu.get(run)
        if before is None:
            lived = time.clock_gettime(time.CLOCK_BOOTTIME) - usage.started
            share = round(100 * usage.cpu / lived, 1) if lived > 0 else None
        elif now - before[0] < SETTLED:
            return before[2]
        else:
            share = round(100 * (usage.cpu - before[1]) / (now - before[0]), 1)
        self._cpu[run] = (now, usage.cpu, share)
        return share


def resident(pids: Mapping[str, int], trees: Iterable[str]) -> dict[str, Bytes]:
    """Resident bytes by run; of a run in `trees`, all that its main process started counts too."""
    whole = frozenset(trees)
    sizes: dict[str, Bytes] = {}
    for run, pid in pids.items():
        usage = usage_of(pid)
        if usage is not None:
            sizes[run] = usage.resident + (_resident_below(pid) if run in whole else 0)
    return sizes


def _resident_below(pid: int) -> Bytes:
    """Of all descendants of a process."""
    import psutil  # noqa: PLC0415 - its import takes as long as starting 50 workers, and few daemons need it

    try:
        below = [usage_of(child.pid) for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(usage.resident for usage in below if usage is not None)
