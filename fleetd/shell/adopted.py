"""How a process ended that is not ours and not the keeper's child: by its pidfd.

Linux 6.15 and newer keep the wait status of a reaped process for those who hold its pidfd (ioctl PIDFD_GET_INFO with
PIDFD_INFO_EXIT, <linux/pidfd.h>).  A pidfd reports POLLIN from the exit on and POLLHUP from the reap on.  Where the
reaper is slow, /proc/PID/stat has the status of the zombie (proc(5), field 52) for those who may trace it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import select
import struct
from collections.abc import Callable
from pathlib import Path

PIDFD_GET_INFO = 0xC040FF0B
PIDFD_INFO_EXIT = 1 << 3
INFO = struct.Struct("=QQ11Ii")  # mask, cgroup id, eleven numbers of identity, wait status

Ended = Callable[[str, int | None], None]


class NotReapedError(Exception):
    """It has ended, and how can be asked for later."""


def exit_status(pidfd: int, pid: int) -> int | None:
    """The wait status of a process that has ended; None where this kernel does not tell.

    Raises:
        NotReapedError: it is a zombie whose status is not ours to see: ask again when it is reaped.

    """
    zombie = _zombie_status(pid)
    try:
        answer = INFO.unpack(fcntl.ioctl(pidfd, PIDFD_GET_INFO, INFO.pack(PIDFD_INFO_EXIT, *[0] * 13)))
    except OSError as error:
        return zombie if error.errno in {errno.ENOTTY, errno.EINVAL} else None
    if answer[0] & PIDFD_INFO_EXIT:
        return int(answer[-1])
    if zombie is None:  # it is not reaped, so the pid was its own when the zombie was looked at
        raise NotReapedError
    return zombie


def _zombie_status(pid: int) -> int | None:
    try:
        path = Path(f"/proc/{pid}/stat")
        fields = path.read_text().rpartition(")")[2].split()
        visible = os.geteuid() in {0, path.stat().st_uid}
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[49]) if visible and fields[0] == "Z" else None


class AdoptedExits:
    """Watches the pidfds of adopted runs in one nested epoll, and says how each ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: Ended) -> None:
        self._loop = loop
        self._ended = ended
        self._epoll: select.epoll | None = None
        self._runs: dict[int, tuple[str, int]] = {}

    def watch(self, run: str, pidfd: int, pid: int) -> None:
        """Report the run's end once; the pidfd stays the caller's, who calls `leave` before closing it."""
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._look)
        self._runs[pidfd] = (run, pid)
        self._epoll.register(pidfd, select.EPOLLIN)

    def leave(self, pidfd: int) -> None:
        """Stop watching."""
        if self._epoll is not None and self._runs.pop(pidfd, None) is not None:
            self._epoll.unregister(pidfd)

    def close(self) -> None:
        """Stop watching all."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _look(self) -> None:
        for pidfd, _ in () if self._epoll is None else self._epoll.poll(0):
            run, pid = self._runs[pidfd]
            try:
                status = exit_status(pidfd, pid)
            except NotReapedError:
                if self._epoll is not None:
                    self._epoll.modify(pidfd, 0)  # POLLHUP, which is always reported, and no more POLLIN
                continue
            self.leave(pidfd)
            self._ended(run, status)
