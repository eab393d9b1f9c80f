"""What is decided about the host: descriptors, processes, memory, cgroups, the kernel, and the systemd unit."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from fleetd.config.durations import format_duration
from fleetd.core.capacity import DESCRIPTORS_A_RUN, memory_allowed, most_runs, nofile_asked
from fleetd.core.drain_time import longest_drain
from fleetd.core.spec import Bytes, FleetSpec, Seconds
from fleetd.doctor.report import HOST, Rule, Told
from fleetd.views.status_table import size

SPARE_PROCESSES = 16  # the daemon, its keeper, and what is asked of them
PIDFD_KERNEL = (5, 3)  # the first with pidfd_open(2)
KILL_KERNEL = (5, 14)  # the first that kills a cgroup as a whole
STATUS_KERNEL = (6, 15)  # the first whose pidfds tell the exit status of a process that another one reaped

DESCRIPTORS = Rule(
    "descriptors",
    "the limit of open files, of the systemd unit or else of this shell, against the pools' `numprocs` and "
    "`limits.nofile`",
    "daemon and keeper each hold 6 for a worker; beyond the limit workers are not started",
    "raise the hard limit (`ulimit -Hn`, LimitNOFILE= in the unit), or lower numprocs",
)
PROCESSES = Rule(
    "processes",
    "how many processes the cgroup, the unit (`TasksMax=`) and the user's limit leave room for",
    "beyond the limit no worker can be started, and none can start what its job needs",
    "raise it (TasksMax= in the unit, pids.max of the container, `ulimit -u`), or lower numprocs",
)
MEMORY = Rule(
    "memory",
    "`numprocs` x `max-memory` of all pools against the memory of the machine and of the cgroup",
    "the kernel kills workers, with the job in hand, before max-memory recycles them between two jobs",
    "lower max-memory or numprocs, or give the machine or the container more",
)
CGROUPS = Rule(
    "cgroups",
    "whether a cgroup (version 2) can be made and killed for each worker",
    "what a worker has started is then found by its session, its marks in the environment and its parents; a process "
    "that hides from all of them outlives its worker",
    "run under the unit of `fleetd systemd install`, as root, or in a container with a writable cgroup",
)
KERNEL = Rule(
    "kernel",
    "the version of Linux",
    "fleetd holds its workers by pidfds, which came with Linux 5.3: it cannot run",
    "use Linux 5.14 or newer (from 6.15 on also workers whose keeper was killed are known by their exit codes)",
)
UNIT = Rule(
    "unit-stop-timeout",
    "`TimeoutStopSec=` of the installed systemd unit against the longest drain of the pools",
    "systemd kills workers in the middle of their jobs when the time is up",
    "run `fleetd systemd install` again: it works the time out anew",
)
RULES = (DESCRIPTORS, PROCESSES, MEMORY, CGROUPS, KERNEL, UNIT)


class Unit(Struct, frozen=True):
    """The instance's systemd unit; None: no limit."""

    name: str
    stop_timeout: Seconds | None = None
    descriptors: int | None = None
    processes: int | None = None


class HostFacts(Struct, frozen=True):
    """What was seen of the host; None: no limit."""

    kernel: tuple[int, int]
    descriptors: int | None  # the hard limit
    processes: int | None  # that there is room for
    memory: Bytes  # of the machine
    memory_limit: Bytes | None  # of the cgroup
    has_cgroups: bool
    is_root: bool = False
    unit: Unit | None = None  # that is installed for the instance


def judge(spec: FleetSpec, facts: HostFacts) -> Iterator[Told]:
    """All that is to be said of the host."""
    yield descriptors(spec, facts)
    yield processes(spec, facts)
    yield memory(spec, facts)
    yield cgroups(facts)
    yield kernel(facts)
    if facts.unit is not None:
        yield stop_timeout(spec, facts.unit)


def descriptors(spec: FleetSpec, facts: HostFacts) -> Told:
    """Open files: what daemon and keeper need, and what pools want for their workers."""
    limit, whose = (facts.descriptors, "here")
    if facts.unit is not None:
        limit, whose = facts.unit.descriptors, f"in {facts.unit.name}"
    needed = DESCRIPTORS_A_RUN * most_runs(spec) + 64
    if limit is None:
        return DESCRIPTORS.ok(HOST, f"no limit of open files {whose}")
    if needed > limit:
        return DESCRIPTORS.error(HOST, f"{limit} files may be open {whose}, and these pools need {needed}")
    asked = nofile_asked(spec)
    if (asked == -1 or asked > limit) and not facts.is_root:
        wanted = "no limit" if asked == -1 else str(asked)
        why = "such a worker cannot be started: only root may go beyond the hard limit"
        return DESCRIPTORS.error(
            HOST, f"{limit} files may be open {whose}, and limits.nofile asks for {wanted}", why=why
        )
    return DESCRIPTORS.ok(HOST, f"{limit} files may be open {whose}, and these pools need {needed}")


def processes(spec: FleetSpec, facts: HostFacts) -> Told:
    """Processes: one for each run at least, and some of fleetd's own."""
    room, whose = facts.processes, "there is room for {} more processes here"
    if facts.unit is not None:
        room, whose = facts.unit.processes, f"{facts.unit.name} may have {{}} processes"
    needed = most_runs(spec) + SPARE_PROCESSES
    if room is None:
        return PROCESSES.ok(HOST, "no limit of processes in sight")
    what = f"{whose.format(room)}, and these pools need at least {needed}"
    return PROCESSES.error(HOST, what) if needed > room else PROCESSES.ok(HOST, what)


def memory(spec: FleetSpec, facts: HostFacts) -> Told:
    """Memory, as far as the pools say what they may use."""
    allowed, unbounded = memory_allowed(spec)
    there = facts.memory if facts.memory_limit is None else min(facts.memory, facts.memory_limit)
    of = "the machine" if there == facts.memory else "the cgroup"
    if len(unbounded) == len(spec.pools):
        return MEMORY.ok(HOST, f"{size(there)} of memory; no pool sets max-memory")
    what = f"workers may use {size(allowed)} (max-memory x numprocs), and {of} has {size(there)}"
    if unbounded:
        what += f"; {', '.join(unbounded)} not counted: without max-memory"
    return MEMORY.warning(HOST, what) if allowed > there else MEMORY.ok(HOST, what)


def cgroups(facts: HostFacts) -> Told:
    """Which guarantee there is that nothing outlives its worker."""
    if facts.has_cgroups and facts.kernel >= KILL_KERNEL:
        return CGROUPS.ok(HOST, "each worker can have a cgroup: all that it started dies with it")
    return CGROUPS.warning(HOST, "no cgroup can be made for workers here")


def kernel(facts: HostFacts) -> Told:
    """The version of Linux."""
    version = ".".join(map(str, facts.kernel))
    if facts.kernel < PIDFD_KERNEL:
        return KERNEL.error(HOST, f"Linux {version}")
    if facts.kernel < STATUS_KERNEL:
        return KERNEL.ok(HOST, f"Linux {version}: exit codes of workers whose keeper was killed may stay unknown")
    return KERNEL.ok(HOST, f"Linux {version}")


def stop_timeout(spec: FleetSpec, unit: Unit) -> Told:
    """How long systemd waits for the drain."""
    needed = longest_drain(spec)
    if unit.stop_timeout is None:
        return UNIT.ok(HOST, f"{unit.name} waits for the drain without a limit")
    given = format_duration(unit.stop_timeout)
    what = f"{unit.name} waits {given} for a stop, and these pools may take {format_duration(needed)}"
    return UNIT.error(HOST, what) if unit.stop_timeout < needed else UNIT.ok(HOST, what)
