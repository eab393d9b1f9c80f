"""What a worker writes into and speaks to: its output pipe and its notify socket.

The daemon makes them and hands them to the keeper with the request: so what a worker wrote and said is not lost when
the keeper is killed before it could tell of the worker.  An earlier daemon leaves it to the keeper.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket

from fleetd.keeper.failure import stage

PIPE_BYTES_AS_ROOT = 1 << 20
DATAGRAM = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK


def notify_socket(path: str, uid: int | None) -> int:
    """A datagram socket at `path`, with the sender's credentials in every message from the first one on.

    One that stands there is replaced.  Raises StartError.
    """
    with stage("notify", path), socket.socket(socket.AF_UNIX, DATAGRAM) as notify:
        notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            notify.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            os.unlink(path)
            notify.bind(path)
        os.chmod(path, 0o600)
        if uid is not None and os.geteuid() == 0:
            os.chown(path, uid, -1)
        return notify.detach()


def output_pipe(uid: int | None) -> tuple[int, int]:
    """A pipe: its read end, and the worker's, which belongs to the worker's user so that it can be opened again.

    That end can be read, too: so a worker outlives everybody who reads its output (a write waits, and does not
    fail), and who comes next opens the pipe again by way of the worker's descriptor.  Raises StartError.
    """
    with stage("output"):
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            write = widened(write)
            os.set_blocking(read, False)
            if os.geteuid() == 0:
                with contextlib.suppress(PermissionError):  # root of a container has a user's share of pipe memory
                    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES_AS_ROOT)
                if uid is not None:
                    os.fchown(write, uid, -1)
        except OSError:
            os.close(read)
            os.close(write)
            raise
        return read, write


def widened(pipe: int) -> int:
    """A pipe's write end, open for reading as well; as it was where there is no /proc."""
    try:
        both = os.open(f"/proc/self/fd/{pipe}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return pipe
    os.close(pipe)
    return both
