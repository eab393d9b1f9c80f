"""Workers that no keeper holds: who they are, and the pipe that each writes into (P3).

A keeper that was killed leaves its workers to the system.  One that the journal knows is known by its pid and start
time; else by the FLEETD_RUN and NOTIFY_SOCKET that it was started with, and by the user whom the keeper gave that
socket to.  Its output pipe lives as long as it does (`fleetd.keeper.run`), and is opened again by way of its own
descriptor, where the ptrace access mode of proc(5) lets us.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from fleetd.shell.cgroup import folder_below, name_of
from fleetd.shell.held import Held
from fleetd.shell.notify import bound_again
from fleetd.shell.proc import TEMPLATE, TICKS, Process, Table, environment_of, read_process, run_of, send

log = logging.getLogger("fleetd")

RUN = re.compile(r"[0-9a-f]{32}")
KEEPER = b"keeper/__main__.py"
YOUNG = 1.0  # seconds
FORK_LOOKS = 500
FORK_SECONDS = 0.001
BORN_WITHIN = 2.0  # seconds after its notify socket was made; what has its environment and came later is its child


class Trace(Struct, frozen=True):
    """What is known of a run that no keeper holds, and that may live."""

    run: str
    meta: str
    notify: str
    pid: int | None = None
    started: int | None = None  # in clock ticks since boot
    pipe: int | None = None  # inode of its output pipe
    directory: str | None = None
    own: Mapping[str, int] = field(default_factory=dict)  # its `output` and `notify`, where they are ours already


def find(trace: Trace, table: Table, folder: Path, instance: str, keeper: int | None) -> Held | None:
    """The living main process of a run, or the zombie whose exit status can still be had.

    Its notify socket is new where it is not our own; of our own descriptors, copies are held.

    None when it is gone.  `folder` is the instance's runtime directory.  Another `keeper` than ours that has it as a
    child is one whose socket was removed: nobody can ask it for anything, and it is ended.
    """
    process = _recorded(trace) if trace.pid is not None else _carrier(trace, table)
    if process is None:
        return None
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    now = read_process(process.pid)
    if now is None or now.started != process.started:
        os.close(pidfd)
        return None
    own = {name: os.dup(descriptor) for name, descriptor in trace.own.items()}
    try:
        output = own["output"] if own else _output_of(process, trace.pipe, table)
        is_unreadable = False
    except OSError as error:
        log.warning("run %s (pid %s) is ended, as its output cannot be read: %s", trace.run, process.pid, error)
        output, is_unreadable = closed_pipe(), True
    if process.parent != keeper:
        _end_keeper(process.parent, instance)
    return Held(
        run=trace.run,
        pid=process.pid,
        directory=trace.directory or "",
        meta=trace.meta,
        pidfd=pidfd,
        output=output,
        notify=own.get("notify") if own else bound_again(trace.notify, owner_of(trace.notify)),
        notify_path=trace.notify,
        cgroup=folder_below(process.pid, name_of(instance, folder)),
        foreign=True,
        unreadable=is_unreadable,
    )


def _end_keeper(pid: int, instance: str) -> None:
    process = read_process(pid)
    if process is not None and _is_keeper(pid, instance):
        log.warning("a keeper (pid %s) that cannot be reached any more is ended; its workers go on", pid)
        with suppress(PermissionError):
            send(process, signal.SIGKILL)


def _is_keeper(pid: int, instance: str) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    is_one = any(each.endswith(KEEPER) for each in arguments) and os.fsencode(instance) in arguments
    return is_one and real_uid(pid) == os.geteuid()


def _recorded(trace: Trace) -> Process | None:
    process = None if trace.pid is None else read_process(trace.pid)
    if process is None:
        return None
    marked = run_of(process.pid)
    if trace.started is None:
        return process if marked == trace.run else None
    return process if process.started == trace.started and marked in {trace.run, TEMPLATE, None} else None


def _carrier(trace: Trace, table: Table) -> Process | None:
    """The oldest session leader of its user that carries the run's mark: what it started itself came later."""
    owner = owner_of(trace.notify)
    marked = (each for each in _leaders(table) if run_of(each.pid) == trace.run and real_uid(each.pid) == owner)
    return min(marked, key=lambda process: process.started, default=None)


def unrecorded(notify: Path, known: frozenset[str]) -> Iterator[tuple[Trace, Mapping[str, str]]]:
    """Runs that were told of a socket in this folder, and are not `known`; with what else they were told.

    Anybody may say so of a process: that the keeper gave the socket to its user says that it is true.
    """
    found: dict[str, tuple[Process, Mapping[str, str]]] = {}
    own = _pid_namespace("self")
    for process in _leaders(Table()):
        told: Mapping[str, str] = environment_of(process.pid)
        run = told.get("FLEETD_RUN", "")
        if not RUN.fullmatch(run) or run in known or not _is_of(process, told, notify / run):
            continue
        is_older = run not in found or process.started < found[run][0].started
        if is_older and _pid_namespace(process.pid) == own:
            found[run] = process, told
    for run, (process, told) in found.items():
        yield Trace(run, "", str(notify / run), process.pid, process.started, directory=told.get("PWD")), told


def _is_of(process: Process, told: Mapping[str, str], notify: Path) -> bool:
    """Whether the process is the worker whose socket this is; one that was forked from a template was not told so."""
    if told.get("NOTIFY_SOCKET", str(notify)) != str(notify):
        return False
    try:
        found = notify.lstat()
    except OSError:  # the whole folder was removed
        return "NOTIFY_SOCKET" in told and real_uid(process.pid) == os.geteuid()
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != real_uid(process.pid):
        return False
    return unix_time(process.started) < found.st_mtime + BORN_WITHIN


async def forks_over(instance: str, keeper: int | None) -> None:
    """Wait until what a lost keeper of this name forked has become what it was to be; this `keeper` is another one."""
    for _ in range(FORK_LOOKS):
        if not _is_being_forked(instance, keeper):
            return
        await asyncio.sleep(FORK_SECONDS)


def _is_being_forked(instance: str, keeper: int | None) -> bool:
    """Whether something looks like a keeper of this name that was made just now, and is not this one.

    A child of a keeper looks so until it has become the worker; it may become it after the keeper's death.
    """
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    for process in Table().processes.values():
        is_young = process.alive and now - process.started / TICKS < YOUNG
        if is_young and keeper not in {process.pid, process.parent} and _is_keeper(process.pid, instance):
            return True
    return False


def _leaders(table: Table) -> Iterator[Process]:
    return (process for process in table.processes.values() if process.session == process.pid and process.alive)


def real_uid(pid: int) -> int | None:
    """Whose process it is; None when it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[1])
    return None


def owner_of(notify: str) -> int:
    """Whom the keeper gave a run's socket to: nobody else can make a file beside it."""
    try:
        return os.lstat(notify).st_uid
    except OSError:
        return os.geteuid()


def unix_time(started: int) -> float:
    """When a process started, in Unix seconds, by its clock ticks since boot."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime")) + started / TICKS


def _pid_namespace(pid: int | str) -> int | None:
    """A container's workers may have been told of a socket whose path is the same as ours."""
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    except OSError:
        return None


# -- output --


def _output_of(process: Process, pipe: int | None, table: Table) -> int:
    """A read end of the pipe that a run writes into; one that is at its end, when nothing of the run has it open.

    Without its inode, it is what standard output and standard error share.  Raises OSError.
    """
    if not process.alive:
        return closed_pipe()
    if pipe is None:
        pipe = _shared_by_outputs(process.pid)
    output = _opened(process.pid, pipe)
    family = table.with_descendants({process.pid, *table.members(process.pid)}) - {process.pid}
    while output is None and family:
        with suppress(PermissionError):
            output = _opened(family.pop(), pipe)
    return closed_pipe() if output is None else output


def _opened(pid: int, pipe: int) -> int | None:
    """A read end of the pipe with this inode, if the process has it open.  Raises PermissionError."""
    with suppress(FileNotFoundError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if _is_pipe(path.stat(), pipe):
                    output = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                    if _is_pipe(os.fstat(output), pipe):  # it may have put something else there meanwhile
                        return output
                    os.close(output)
    return None


def _is_pipe(found: os.stat_result, inode: int) -> bool:
    return found.st_ino == inode and stat.S_ISFIFO(found.st_mode)


def _shared_by_outputs(pid: int) -> int:
    with suppress(FileNotFoundError):
        out, error = Path(f"/proc/{pid}/fd/1").stat(), Path(f"/proc/{pid}/fd/2").stat()
        if stat.S_ISFIFO(out.st_mode) and os.path.samestat(out, error):
            return out.st_ino
    raise OSError(errno.EBADF, "which pipe it writes to is not known")


def closed_pipe() -> int:
    """The read end of a pipe that is at its end."""
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.close(write)
    return read
