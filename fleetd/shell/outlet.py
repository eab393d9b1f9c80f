"""Writing to standard output and error without waiting: others may share them, so they are not made non-blocking."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack

from fleetd.shell.pipes import CHUNK

_CAUTIOUS = 64  # bytes at a time to a terminal that may not be opened anew: surely less than it has room for


class Outlet:
    """One descriptor of this process, which stays its owner's.

    Whatever is at its other end, a write returns at once; a line that went in part is finished before another begins.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_blocked = False  # what the last write or flush left would have had to wait
        self._rest = b""  # of a line that went in part
        self._own = ExitStack()
        self._send = _way_to(fd, self._own)

    @property
    def is_inside_a_line(self) -> bool:
        """Whether the end of the last line has not gone yet; the next `write` or `flush` goes on with it."""
        return bool(self._rest)

    def write(self, lines: bytes) -> int:
        """Write whole lines and return how many bytes of them went, always whole lines; 0 when nothing goes now.

        The last one may have gone in part: then it counts, and `is_inside_a_line`.  Raises OSError.
        """
        if not self.flush():
            return 0
        done = 0
        try:
            while done < len(lines):
                done += self._send(lines[done : done + CHUNK])
        except BlockingIOError:
            self.is_blocked = True
        except OSError:
            if not done:
                raise
        end = lines.find(b"\n", done) + 1 if done and lines[done - 1] != ord("\n") else done
        self._rest = lines[done:end]
        return end

    def flush(self) -> bool:
        """Finish the last line; False when it does not go now.  Raises OSError."""
        self.is_blocked = False
        try:
            while self._rest:
                self._rest = self._rest[self._send(self._rest) :]
        except BlockingIOError:
            self.is_blocked = True
        return not self._rest

    def close(self) -> None:
        """Let go of what was opened beside the descriptor."""
        self._own.close()


def standard_streams() -> tuple[Outlet, Outlet]:
    """Standard output and error; one and the same where they lead to the same file, so that no line tears another."""
    output = Outlet(1)
    try:
        same = os.path.sameopenfile(1, 2)
    except OSError:
        same = False
    return output, output if same else Outlet(2)


def _way_to(fd: int, own: ExitStack) -> Callable[[bytes], int]:
    """How to send bytes there: answers how many went, and raises BlockingIOError when none goes now."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        mode = 0
    if stat.S_ISFIFO(mode):
        return _pipe(fd) if _takes_nowait(fd) else _pipe_by_splice(fd, own)
    if stat.S_ISSOCK(mode):
        end = own.enter_context(socket.socket(fileno=os.dup(fd)))
        return lambda data: end.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    if os.isatty(fd):
        return _terminal(fd, own)
    return lambda data: os.write(fd, data)  # a file: it takes all, or refuses for good


def _takes_nowait(fd: int) -> bool:
    """Whether a single write to a pipe can be told not to wait: pwritev2(2) with RWF_NOWAIT, from Linux 6.4."""
    try:
        os.pwritev(fd, [b""], -1, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return True


def _pipe(fd: int) -> Callable[[bytes], int]:
    return lambda data: os.pwritev(fd, [data], -1, os.RWF_NOWAIT)


def _pipe_by_splice(fd: int, own: ExitStack) -> Callable[[bytes], int]:
    """splice(2) is asked for each call whether it may wait, too; but every line then takes a page of the pipe's 16."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    own.callback(os.close, reader)
    own.callback(os.close, writer)

    def send(data: bytes) -> int:
        left = staged = os.write(writer, data)
        try:
            while left:
                left -= os.splice(reader, fd, left, flags=os.SPLICE_F_NONBLOCK)
        except OSError:
            os.read(reader, left)
            if left == staged:
                raise
        return staged - left

    return send


def _terminal(fd: int, own: ExitStack) -> Callable[[bytes], int]:
    """Opened anew it has a description of its own, which does not wait."""
    try:
        again = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # it is another user's
        room = select.poll()
        room.register(fd, select.POLLOUT)

        def send_a_little(data: bytes) -> int:
            if not room.poll(0):
                raise BlockingIOError
            return os.write(fd, data[:_CAUTIOUS])

        return send_a_little
    own.callback(os.close, again)
    return lambda data: os.write(again, data)
