"""What the processes of pools, and the daemon itself, have used so far: measured when somebody asks, and only then."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Mapping
from math import floor
from pathlib import Path

from fleetd.shell.proc import TICKS, usage_of
from fleetd.views.metrics.metric import OfPool, Own

MEASURED_EVERY = 1.0  # seconds between two looks at all processes, however many ask


class PoolUsage:
    """Adds up by pool what main processes use; CPU seconds grow on over the ends of workers.

    Of processes that are older than this object, what they used before the first look is an earlier daemon's to tell.
    """

    def __init__(self) -> None:
        self._since = floor(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS) / TICKS
        self._seen: dict[str, float] = {}  # CPU seconds by run
        self._cpu: dict[str, float] = {}  # by pool
        self._resident: dict[str, int] = {}
        self._measured = -MEASURED_EVERY

    def measure(
        self, pids: Mapping[str, int], pool_of: Mapping[str, str], dropped: Mapping[str, int]
    ) -> dict[str, OfPool]:
        """By pool; `pids` by run, `pool_of` the pool of each, `dropped` the bytes of output that each pool lost."""
        if time.monotonic() >= self._measured + MEASURED_EVERY:
            self._look(pids, pool_of)
            self._measured = time.monotonic()
        pools = {*self._cpu, *dropped}
        return {
            pool: OfPool(self._resident.get(pool, 0), self._cpu.get(pool, 0.0), dropped.get(pool, 0)) for pool in pools
        }

    def _look(self, pids: Mapping[str, int], pool_of: Mapping[str, str]) -> None:
        seen: dict[str, float] = {}
        self._resident = {}
        for run, pid in pids.items():
            usage, pool = usage_of(pid), pool_of.get(run)
            if usage is None or pool is None:
                continue
            seen[run] = usage.cpu
            before = self._seen.get(run, usage.cpu if usage.started < self._since else 0.0)
            self._cpu[pool] = self._cpu.get(pool, 0.0) + max(0.0, usage.cpu - before)
            self._resident[pool] = self._resident.get(pool, 0) + usage.resident
        self._seen = seen


def _open_files() -> int:
    """How many descriptors this process has; from Linux 6.2 on without a look at each."""
    return Path("/proc/self/fd").stat().st_size or len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - hundreds


def own() -> Own:
    """What this process uses."""
    usage = usage_of(os.getpid())
    assert usage is not None
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return Own(
        python=platform.python_version(),
        resident=usage.resident,
        cpu=usage.cpu,
        started=round(booted + usage.started, 2),
        open_files=_open_files(),
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
