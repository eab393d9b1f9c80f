"""One run, as the keeper holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from typing import Any

from fleetd.keeper import FD_ORDER
from fleetd.keeper.failure import stage

PIPE_BYTES_AS_ROOT = 1 << 20
DATAGRAM = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK


class Run:
    """What is held of one run."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.meta = ""
        self.notify_path: str | None = None
        self.pid = 0
        self.directory: str | None = None
        self.cgroup: str | None = None
        self.fds: dict[str, int] = {}
        self.answers: int | None = None  # the pipe on which a forked child tells how far it came
        self.status: int | None = None  # as waitpid gave it
        self.foreign = False  # born under an earlier keeper: somebody else reaps it

    def report(self, event: str) -> dict[str, Any]:
        """What the daemon needs to know of it."""
        report: dict[str, Any] = {"event": event, "run": self.run, "pid": self.pid, "directory": self.directory}
        report |= {"cgroup": self.cgroup, "fds": [name for name in FD_ORDER if name in self.fds]}
        if event == "held":
            report |= {"meta": self.meta, "notify": self.notify_path, "starting": self.answers is not None}
            report |= {"status": self.status, "foreign": self.foreign}
        return report

    def close(self) -> None:
        """Let go of every descriptor and of the notify socket's name."""
        for descriptor in self.fds.values():
            os.close(descriptor)
        self.fds.clear()
        if self.answers is not None:
            os.close(self.answers)
            self.answers = None
        if self.notify_path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.notify_path)

    def open_notify(self, uid: int | None) -> None:
        """Bind its datagram socket, with the sender's credentials in every message from the first one on."""
        if self.notify_path is None:
            return
        with stage("notify", self.notify_path), socket.socket(socket.AF_UNIX, DATAGRAM) as notify:
            notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            try:
                notify.bind(self.notify_path)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                os.unlink(self.notify_path)
                notify.bind(self.notify_path)
            self.fds["notify"] = notify.detach()
            os.chmod(self.notify_path, 0o600)
            if uid is not None and os.geteuid() == 0:
                os.chown(self.notify_path, uid, -1)

    def open_output(self, uid: int | None) -> int:
        """Make the output pipe; the worker's end, which belongs to the worker's user so that it can be opened again.

        That end can be read, too: so a worker outlives everybody who reads its output (a write waits, and does not
        fail), and who comes next opens the pipe again by way of the worker's descriptor.
        """
        with stage("output"):
            self.fds["output"], output = os.pipe2(os.O_CLOEXEC)
            try:
                output = widened(output)
                os.set_blocking(self.fds["output"], False)
                if os.geteuid() == 0:
                    with contextlib.suppress(PermissionError):  # root of a container has a user's share of pipe memory
                        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, PIPE_BYTES_AS_ROOT)
                    if uid is not None:
                        os.fchown(output, uid, -1)
            except OSError:
                os.close(output)
                raise
            return output


def widened(pipe: int) -> int:
    """A pipe's write end, open for reading as well; as it was where there is no /proc."""
    try:
        both = os.open(f"/proc/self/fd/{pipe}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return pipe
    os.close(pipe)
    return both
