"""What /proc says of all processes at one moment, and signals that reach nobody else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

SYSTEM_PIDS = frozenset({0, 1})
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
ENDING = 0x4  # among a process's flags: PF_EXITING of the kernel
TEMPLATE = ""
BECOMING = "\0"
LOOKS = 5  # at an environment in which nothing is


class Process(Struct, frozen=True):
    """One line of /proc/PID/stat (proc(5)); `started` in clock ticks since boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int

    @property
    def alive(self) -> bool:
        """A zombie is not."""
        return self.state not in "ZXx"


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the third on, the state."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)  # hundreds in a row: a quarter less than open()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    try:
        text = os.read(file, 1024)
    except ProcessLookupError:
        return None
    finally:
        os.close(file)
    return text[text.rindex(b")") + 2 :].split(None, 22)


def read_process(pid: int) -> Process | None:
    """The process that has this pid now."""
    fields = _stat(pid)
    if fields is None:
        return None
    return Process(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


class Usage(Struct, frozen=True):
    """What a process uses: resident bytes, CPU seconds so far, and when it started (seconds since boot)."""

    resident: int
    cpu: float
    started: float


def usage_of(pid: int) -> Usage | None:
    """One look at what the process that has this pid now uses; None for a zombie, and where there is none."""
    fields = _stat(pid)
    if fields is None or fields[0] == b"Z":
        return None
    user, system, started, pages = (int(fields[at]) for at in (11, 12, 19, 21))  # proc(5), from the state on
    return Usage(pages * PAGE, (user + system) / TICKS, started / TICKS)


def is_ending(pid: int) -> bool:
    """Whether a process is gone, or has begun to end: from then on its children may have gone to another parent."""
    fields = _stat(pid)
    return fields is None or fields[0] in b"ZXx" or bool(int(fields[6]) & ENDING)


def children_of(pid: int) -> tuple[int, ...] | None:
    """The children of a process with one thread; None where the kernel does not tell (CONFIG_PROC_CHILDREN)."""
    try:
        return tuple(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    except OSError:
        return None


def run_of(pid: int) -> str | None:
    """The FLEETD_RUN that the process was started with; None without one, or when we may not look.

    TEMPLATE for a template of preloaded workers: no run, and nothing that a run has left.  BECOMING in the middle of an
    exec, when there is no environment yet.
    """
    variables = _environ(pid)
    for _ in range(LOOKS):  # an exec may end, and the next one begin, between two looks
        if variables != [b""]:
            break
        if _is_becoming(pid):
            return BECOMING
        variables = _environ(pid)
    for variable in variables:
        if variable.startswith(b"FLEETD_RUN="):
            return variable[11:].decode(errors="replace")
        if variable.startswith(b"FLEETD_TEMPLATE="):
            return TEMPLATE
    return None


def _is_becoming(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return (
        fields[48] == b"0" and not int(fields[6]) & ENDING
    )  # where the environment ends, proc(5); that of the dead, too


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with; nothing when we may not look."""
    pairs = (os.fsdecode(variable).partition("=") for variable in _environ(pid))
    return {name: value for name, _, value in pairs}


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


class Table:
    """Every process in sight, and who descends from whom."""

    def __init__(self) -> None:
        found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - as above
        self.processes = {process.pid: process for process in found if process is not None}
        self._children: dict[int, list[int]] = {}
        self._members: dict[int, set[int]] = {}
        for process in self.processes.values():
            self._children.setdefault(process.parent, []).append(process.pid)
            self._members.setdefault(process.session, set()).add(process.pid)
            self._members.setdefault(process.group, set()).add(process.pid)

    def children(self, pid: int) -> Sequence[int]:
        """The pids of a process's children."""
        return self._children.get(pid, ())

    def members(self, leader: int) -> Iterable[int]:
        """Those whose session or process group is the one that `leader` made."""
        return self._members.get(leader, ())

    def with_descendants(self, seeds: Iterable[int]) -> set[int]:
        """The seeds and all that descends from them."""
        found: set[int] = set()
        unseen = [pid for pid in seeds if pid in self.processes]
        while unseen:
            pid = unseen.pop()
            if pid not in found:
                found.add(pid)
                unseen.extend(self.children(pid))
        return found


def send(process: Process, number: signal.Signals) -> bool:
    """A signal to exactly this process, never to a later one with its pid; False when it is gone.

    Raises:
        PermissionError: it belongs to somebody else.

    """
    if process.pid in SYSTEM_PIDS or process.pid == os.getpid():
        return False
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        now = read_process(process.pid)
        if now is None or now.started != process.started:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True
