"""A template of preloaded workers, as the keeper holds it (`fleetd/preload.py` is its program).

They speak over a SOCK_SEQPACKET socket of their own.  The keeper says what to import: {"modules", "entry"}; the
template answers {"ready": {"threads"}}, or {"failed": {"what", "problem"}} and ends.  From then on each packet of the
keeper asks for one birth, with three descriptors: a socket for this birth, the write end of the output, and that of the
answers (as in `Run.answers`).  The worker says hello on the birth's socket, which tells the keeper its pid by
SCM_CREDENTIALS, and the keeper answers with what it is to be: {"argv", "env", "directory", "env_file", "env_wins",
"run", "arguments"}, in a memfd where that is large.  All that comes from a template comes from the application's user,
and is believed no further.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import struct
import time
from collections import deque
from typing import Any

from fleetd.keeper import PACKET_BYTES
from fleetd.keeper.births import Births
from fleetd.keeper.failure import StartError, answer_of, stage
from fleetd.keeper.run import Run
from fleetd.keeper.worker import write_file

PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "preload.py")
IN_FLIGHT = 64  # births that a template is asked for at a time
LEAK_FACTOR, LEAK_BYTES = 1.5, 64 << 20  # what a template may grow to, and by
TEMPLATE_ONLY = ("uid", "gid", "groups", "limits", "nice", "affinity", "umask", "env_file", "env_wins")
ROOM = 64  # bytes of FLEETD_TEMPLATE: a worker writes its FLEETD_RUN over it
LONGEST = 1000
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

Json = dict[str, Any]


class Birth:
    """A run that is to be forked from a template."""

    def __init__(self, run: Run, request: Json) -> None:
        self.run = run
        self.request = request
        self.lost_by: list[int] = []  # the pids of the templates that were asked, and from which no worker came
        self.hello: socket.socket | None = None  # open while the worker is awaited
        self.answers: int | None = None
        self.asked_at = 0.0

    def open(self) -> tuple[int, int, int]:
        """Make its pipes and sockets; the ends that are the worker's.

        Raises:
            StartError: the system refuses.

        """
        uid = self.request.get("uid")
        self.run.open_notify(uid)
        output = self.run.open_output(uid)
        try:
            with stage("start"):
                self.hello, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
                theirs.setblocking(True)  # noqa: FBT003 - positional only
                self.hello.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                self.answers, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except StartError:
            os.close(output)
            raise
        return theirs.detach(), output, told

    def close(self) -> None:
        """Let go of it all: a worker that was forked for it ends by itself."""
        if self.hello is not None:
            self.hello.close()
            self.hello = None
        if self.answers is not None:
            os.close(self.answers)
            self.answers = None
        self.run.close()

    def refusal(self) -> Json | None:
        """What the template, or the worker, says of why there is none."""
        with contextlib.suppress(OSError, IndexError):
            answer = answer_of(os.read(self.answers, PACKET_BYTES).splitlines()[0]) if self.answers is not None else {}
            return answer if "stage" in answer else None
        return None

    def hear(self) -> int | None:
        """The pid of the worker that said hello: a child of ours, of the right user; None if it has not yet.

        Raises:
            EOFError: there will be none.

        """
        assert self.hello is not None
        try:
            body, ancillary, _, _ = self.hello.recvmsg(16, socket.CMSG_SPACE(CREDENTIALS.size))
        except BlockingIOError:
            return None
        except OSError as error:
            raise EOFError from error
        for level, kind, data in ancillary:
            if body and (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid, uid, _ = CREDENTIALS.unpack(data[: CREDENTIALS.size])
                wanted = self.request.get("uid")
                if uid == (os.geteuid() if wanted is None else wanted) and parent_of(pid) == os.getpid():
                    return int(pid)
        raise EOFError

    def hold(self, pid: int, *, taken: bool) -> None:
        """The worker is ours from now on, and may begin.

        Raises:
            EOFError: it is gone, or its pid is `taken`: a process that was born before says that it is this one.

        """
        assert self.hello is not None
        if taken:
            raise EOFError
        try:
            self.run.fds["pidfd"] = os.pidfd_open(pid)
            self.run.pid = pid
            cgroup = self.request.get("cgroup")
            if cgroup is not None:
                with contextlib.suppress(OSError):  # without it the run's tree is found by other means
                    write_file(cgroup + "/cgroup.procs", str(pid).encode())
                    self.run.cgroup = cgroup
            send(self.hello, self._told())
        except OSError as error:
            raise EOFError from error
        self.hello.close()
        self.hello = None
        self.run.answers, self.answers = self.answers, None

    def _told(self) -> Json:
        wanted: Json = {name: self.request.get(name) for name in ("argv", "env", "directory", "env_file", "env_wins")}
        return wanted | {name: self.request["preload"][name] for name in ("run", "arguments")}


class Template(Run):
    """One template: a process that belongs to no run."""

    def __init__(self, key: str, request: Json, directory: str) -> None:
        super().__init__(key)
        preload = request["preload"]
        self.key = key
        self.pool: str = preload["pool"]
        self.generation: int = preload["generation"]
        self.timeout: float = preload["timeout"]
        self.directory = directory
        self.socket: socket.socket | None = None
        self.waiting: deque[Birth] = deque()
        self.in_flight: set[Birth] = set()
        self.held_up_since: float | None = None  # it takes no request: descriptors in flight are limited for each user
        self.retry_at = 0.0
        self.workers = 0  # that live
        self.idle_since = self.began_at = time.monotonic()
        self.ready = False
        self.rss = 0
        self.failure: Json | None = None  # why it did not become ready
        self.is_unwanted = False  # we have ended it, or are about to

    def begin(self, births: Births, request: Json) -> None:
        """Start the process.

        Raises:
            StartError: the system refuses.

        """
        preload = request["preload"]
        with stage("start"):
            self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            theirs.set_inheritable(True)
            own = frozenset(preload["own"])
            env = {name: value for name, value in request["env"].items() if name not in own}
            argv = [*preload["python"], PROGRAM, str(theirs.fileno()), self.pool]
            wanted = {name: request[name] for name in TEMPLATE_ONLY if name in request}
            env["FLEETD_TEMPLATE"] = self.pool.ljust(ROOM)
            births.start(self, wanted | {"argv": argv, "env": env, "directory": self.directory})
        finally:
            theirs.close()
        kind, what = preload["run"]
        with contextlib.suppress(OSError):  # it has ended already, which is heard by its end
            send(self.socket, {"modules": preload["modules"], "entry": what if kind == "entry" else None})
        self.socket.setblocking(False)  # noqa: FBT003 - positional only

    def open_output(self, uid: int | None) -> int:  # noqa: ARG002 - of a file in memory nobody is the owner
        """A file in memory: it takes all that the imports write, and gives it to the first worker, or to an error."""
        with stage("output"):
            self.fds["output"] = os.memfd_create("template", os.MFD_CLOEXEC)
            return os.dup(self.fds["output"])

    def ask(self, birth: Birth) -> bool:
        """Ask for a worker; False if that is not possible now.

        Raises:
            StartError: the system refuses.

        """
        assert self.socket is not None
        ends = birth.open()
        try:
            socket.send_fds(self.socket, [b"birth"], list(ends))
        except OSError:  # it has ended, which is about to be heard, or it is behind
            birth.close()
            return False
        finally:
            for descriptor in ends:
                os.close(descriptor)
        birth.asked_at = time.monotonic()
        self.in_flight.add(birth)
        return True

    def hold_up(self, seconds: float) -> None:
        """It took no request: it is to be asked again after `seconds`, unless it answers one before."""
        now = time.monotonic()
        self.held_up_since = now if self.held_up_since is None else self.held_up_since
        self.retry_at = now + seconds

    def is_held_up(self) -> bool:
        """Whether some wait for it and it has none in hand, so that nothing it does would tell when to ask again."""
        return self.ready and not self.is_unwanted and bool(self.waiting) and not self.in_flight

    def resident(self) -> int:
        """Its resident memory in bytes; 0 when it is gone."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
        return 0

    def has_leaked(self) -> bool:
        """Whether it has grown since it was ready: each worker would begin with that."""
        return self.resident() > self.rss * LEAK_FACTOR + LEAK_BYTES

    def reports(self) -> list[Json]:
        """What it has told; what is no report is left out."""
        told: list[Json] = []
        while self.socket is not None:
            try:
                body = self.socket.recv(PACKET_BYTES)
            except BlockingIOError:
                break
            except OSError:
                body = b""
            if not body:
                raise EOFError(told)
            with contextlib.suppress(ValueError):
                report = json.loads(body)
                told += [report] if isinstance(report, dict) else []
        return told

    def last_line(self) -> str:
        """The last line that it wrote."""
        with contextlib.suppress(OSError, KeyError):
            size = os.lseek(self.fds["output"], 0, os.SEEK_END)
            text = os.pread(self.fds["output"], LONGEST, max(0, size - LONGEST)).decode(errors="replace")
            return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        return ""

    def kill(self) -> None:
        """End it: we want it no more."""
        self.is_unwanted = True
        self.hang_up()

    def hang_up(self) -> None:
        """Make sure that one that nobody can speak with any more ends; one that is ending already ends as it does."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self.fds["pidfd"], signal.SIGKILL)

    def close(self) -> None:
        """Let go of its descriptors."""
        super().close()
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def send(to: socket.socket, body: Json) -> None:
    """One packet, in a memfd where it is large.

    Raises:
        OSError: nobody takes it.

    """
    data = json.dumps(body).encode()
    if len(data) <= PACKET_BYTES // 2:
        to.send(data)
        return
    with open(os.memfd_create("birth", os.MFD_CLOEXEC), "r+b") as file:
        file.write(data)
        file.flush()
        socket.send_fds(to, [b"in a memfd"], [file.fileno()])


def parent_of(pid: int) -> int | None:
    """The parent of a process; None when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])
    return None
