"""What the pools of an instance take of the host, at most: processes, descriptors, memory, disk."""

from __future__ import annotations

from fleetd.core.spec import Bytes, FleetSpec, LogTarget

# Its pidfd, output and notify socket, the two again where they are read, a log file, and two for who tells of jobs:
# each further process of a worker that does takes one more, as long as one is left.
DESCRIPTORS_A_RUN = 8


def most_runs(spec: FleetSpec) -> int:
    """Runs that there may be at once: each slot has one that takes jobs, and one that drains."""
    return 2 * sum(pool.numprocs for pool in spec.pools.values())


def nofile_asked(spec: FleetSpec) -> int:
    """The greatest `limits.nofile` of the pools; 0 where none sets it, -1 where one is to have no limit."""
    asked = [limit for pool in spec.pools.values() for name, limit in pool.launch.limits if name == "nofile"]
    return -1 if -1 in asked else max(asked, default=0)


def memory_allowed(spec: FleetSpec) -> tuple[Bytes, tuple[str, ...]]:
    """What workers may use before they are recycled, and the pools that set no `max-memory`, which are not in it."""
    sizes = [pool.numprocs * pool.max_memory for pool in spec.pools.values() if pool.max_memory is not None]
    return sum(sizes), tuple(name for name, pool in spec.pools.items() if pool.max_memory is None)


def log_room(spec: FleetSpec) -> Bytes:
    """What the files of worker output take when all are full, not counting compression."""
    logged = (pool for pool in spec.pools.values() if pool.log.to is LogTarget.FILES)
    return sum(pool.numprocs * pool.log.max_size * (pool.log.keep + 1) for pool in logged)
