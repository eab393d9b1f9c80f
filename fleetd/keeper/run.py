"""One run, as the keeper holds it."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any

from fleetd.keeper import ENDS, FD_ORDER, WRITER
from fleetd.keeper.ends import notify_socket, output_pipe
from fleetd.keeper.failure import StartError


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
        self.is_given = False  # the daemon made its pipe and its socket
        self.answers: int | None = None  # the pipe on which a forked child tells how far it came
        self.status: int | None = None  # as waitpid gave it
        self.foreign = False  # born under an earlier keeper: somebody else reaps it

    def report(self, event: str) -> dict[str, Any]:
        """What the daemon needs to know of it."""
        report: dict[str, Any] = {"event": event, "run": self.run, "pid": self.pid, "directory": self.directory}
        known = ENDS if self.is_given and event == "spawned" else ()
        report |= {"cgroup": self.cgroup, "fds": [name for name in FD_ORDER if name in self.fds and name not in known]}
        if event == "held":
            report |= {"meta": self.meta, "notify": self.notify_path, "starting": self.answers is not None}
            report |= {"status": self.status, "foreign": self.foreign}
        return report

    def close(self) -> None:
        """Let go of every descriptor and of the notify socket's name."""
        for descriptor in self.fds.values():
            os.close(descriptor)
        self.fds.clear()
        self.is_given = False
        if self.answers is not None:
            os.close(self.answers)
            self.answers = None
        if self.notify_path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.notify_path)

    def give(self, names: list[str], fds: list[int]) -> None:
        """Take its pipe and its socket as the daemon made them.

        Raises:
            StartError: they did not all arrive, as the keeper has too many open.

        """
        self.fds = dict(zip(names, fds, strict=False))
        if len(fds) < len(names):
            raise StartError("start", errno.EMFILE)
        self.is_given = True

    def open_notify(self, uid: int | None) -> None:
        """Bind its datagram socket, if the daemon has not."""
        if self.notify_path is not None and not self.is_given:
            self.fds["notify"] = notify_socket(self.notify_path, uid)

    def open_output(self, uid: int | None) -> int:
        """The worker's end of its output pipe, which is made if the daemon has not."""
        if not self.is_given:
            self.fds["output"], self.fds[WRITER] = output_pipe(uid)
        return self.fds.pop(WRITER)
