"""Pipes that can be looked into: tee(2) copies what waits in one and leaves it there, as a journal of itself."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import termios

CHUNK = 64 * 1024  # bytes a system call; reading more at once is slower
LARGE = 1024 * 1024  # the size that an ordinary user may give a few pipes, and root any

_libc = ctypes.CDLL(None, use_errno=True)
_tee = _libc.tee
_tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
_tee.restype = ctypes.c_ssize_t


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def keep_memory_of_chunks() -> None:
    """Let the C library keep a few chunks' worth of freed memory instead of asking the kernel for it each time.

    Whether it did so by itself was chance, and cost a third of the speed.  Does nothing where there is no mallopt(3).
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 16 * CHUNK)
        mallopt(_TRIM_THRESHOLD, 32 * CHUNK)


class Peephole:
    """Looks at the bytes that wait in any pipe and leaves them there; one serves all pipes of a process."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def look(self, pipe: int, limit: int = CHUNK) -> bytes:
        """At most `limit` bytes from the front of the pipe; b"" when it is empty and has no writer left.

        Raises BlockingIOError when it is empty, OSError when `pipe` is no pipe.
        """
        copied = _tee(pipe, self._writer, min(limit, CHUNK), os.SPLICE_F_NONBLOCK)
        if copied < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return os.read(self._reader, copied) if copied else b""

    def discard(self, pipe: int, count: int) -> None:
        """Take `count` bytes, which were looked at before, out of the pipe."""
        while count > 0:
            count -= os.splice(pipe, self._nowhere, count, flags=os.SPLICE_F_NONBLOCK)

    def close(self) -> None:
        """Let go of the descriptors."""
        for fd in (self._reader, self._writer, self._nowhere):
            os.close(fd)


def waiting(pipe: int) -> int:
    """How many bytes wait in the pipe at this moment."""
    answer = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int(struct.unpack("i", answer)[0])


def enlarge(pipe: int) -> None:
    """Let the pipe hold 1 MiB, where the system allows it; a pipe that is larger already is left as it is."""
    try:
        if fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) < LARGE:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, LARGE)
    except PermissionError:
        return  # the user's share of pipe memory is used up: 64 KiB serve as well, with more wake-ups
