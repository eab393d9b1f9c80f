"""The keeper's loop: requests, reports and reaping."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

from fleetd.keeper import ENDS, MOST_FDS, PACKET_BYTES, PROTOCOL
from fleetd.keeper.births import Births
from fleetd.keeper.failure import StartError, answer_of
from fleetd.keeper.run import Run
from fleetd.keeper.templates import Templates

GRACE_SECONDS = 10.0  # how long it stays without a daemon and without runs
RETRY_SECONDS = 0.05
REQUESTS_A_TURN = 4  # a spawn takes about half a millisecond, and exits must not wait behind many

Json = dict[str, Any]


class Keeper:
    """The loop: requests, reports and reaping."""

    def __init__(self, listener: socket.socket, births: Births) -> None:
        self._listener = listener
        self._births = births
        self._runs: dict[str, Run] = {}
        self._by_pid: dict[int, Run] = {}
        self._starting: dict[int, Run] = {}  # by the descriptor of their answers
        self._daemon: socket.socket | None = None
        self._environ: dict[str, str] | None = {}  # what workers are given beside their own; None: it did not arrive
        self._introduced = False  # it has said hello, and nothing is told before
        self._reports: deque[tuple[Json, str | None]] = deque()
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._templates = Templates(births, self._poll, self._by_pid, self._born, self._abandon, self._report)
        self._wake, wake_up = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._wake, select.POLLIN)
        signal.set_wakeup_fd(wake_up, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, wake)
        self._told_to_quit = False
        self._deaf = False  # too many descriptors are open to take a connection
        self._crowded = False  # too many descriptors are in flight to send another

    def serve(self) -> None:
        """Until told to quit, or left alone with nothing to hold for the time of grace."""
        alone_since = time.monotonic()
        while not self._told_to_quit:
            needed = self._daemon is not None or self._runs
            if not needed and time.monotonic() - alone_since >= GRACE_SECONDS:
                break
            if self._deaf or self._crowded:
                timeout: float | None = RETRY_SECONDS
            else:
                timeout = None if needed else GRACE_SECONDS
            due = self._templates.due_in()
            if due is not None:
                timeout = due if timeout is None else min(due, timeout)
            ready = self._poll.poll(None if timeout is None else timeout * 1000)
            if needed:
                alone_since = time.monotonic()
            if self._deaf:
                self._deaf = False
                self._poll.register(self._listener, select.POLLIN)
            for descriptor, _ in ready:
                self._handle(descriptor)
            if due is not None:
                self._templates.on_time()
            self._flush()
        self._templates.end()
        self._births.enter(None)  # the daemon removes the cgroups as soon as we hang up

    def _handle(self, descriptor: int) -> None:
        if descriptor == self._wake:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
            self._reap()
        elif descriptor == self._listener.fileno():
            self._accept()
        elif descriptor in self._starting:
            self._learn(self._starting[descriptor])
        elif self._daemon is not None and descriptor == self._daemon.fileno():
            self._take_requests(REQUESTS_A_TURN)
        else:
            self._templates.handle(descriptor)

    # -- the daemon --

    def _accept(self) -> None:
        try:
            newcomer, _ = self._listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self._deaf = True
                self._poll.unregister(self._listener)
            return
        newcomer.settimeout(0)
        credentials = newcomer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] not in {0, os.geteuid()}:
            newcomer.close()
            return
        while self._daemon is not None and self._take_requests(REQUESTS_A_TURN):
            pass  # what the one before has asked for is done before anything is told to the next
        if self._daemon is not None:
            with contextlib.suppress(OSError):
                newcomer.send(b'{"event": "refused"}')
            newcomer.close()
            return
        self._daemon = newcomer
        self._poll.register(newcomer, select.POLLIN)

    def _hang_up(self) -> None:
        if self._daemon is not None:
            self._poll.unregister(self._daemon)
            self._daemon.close()
            self._daemon = None
            self._introduced = False
            self._reports.clear()

    def _take_requests(self, at_most: int) -> bool:
        """Whether there may be more."""
        for _ in range(at_most):
            if self._daemon is None:
                return False
            try:
                body, fds = self._receive(self._daemon)
            except BlockingIOError:
                return False
            except OSError:
                body, fds = b"", []
            if not body:
                self._hang_up()
                return False
            try:
                self._obey(body, fds)
            except (KeyError, TypeError, ValueError) as problem:  # a daemon that speaks otherwise must not end it
                with contextlib.suppress(OSError):  # its log may be on a full disk
                    print(f"keeper: request ignored: {problem!r}", file=sys.stderr, flush=True)  # noqa: T201
        return True

    @staticmethod
    def _receive(daemon: socket.socket) -> tuple[bytes, list[int]]:
        space = socket.CMSG_SPACE(MOST_FDS * 4)
        try:
            body, ancillary, _, _ = daemon.recvmsg(PACKET_BYTES, space, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:  # it died with reports unread, which is told once, before what it had asked for
            body, ancillary, _, _ = daemon.recvmsg(PACKET_BYTES, space, socket.MSG_CMSG_CLOEXEC)
        fds: list[int] = []
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.extend(struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4]))
        return body, fds

    def _obey(self, body: bytes, fds: list[int]) -> None:
        request: Json = json.loads(body)
        verb = request["verb"]
        if verb == "spawn":
            self._spawn(request, fds)
        elif verb == "environ":
            self._take_environ(request, fds)
        elif verb == "hold":
            self._hold(request, fds)
        elif verb == "forget":
            self._forget(request["run"])
        elif verb == "hello":
            self._introduced = True
            self._reports.clear()
            self._templates.cancel()
            hello: Json = {"event": "hello", "protocol": PROTOCOL, "pid": os.getpid(), "takes": ENDS}
            self._report(hello | {"runs": len(self._runs)})
            for run in self._runs.values():
                self._report(run.report("held"), run.run)
        elif verb == "enter":
            self._births.enter(request["cgroup"])
        elif verb == "quit":
            self._told_to_quit = True

    def _take_environ(self, request: Json, fds: list[int]) -> None:
        try:
            self._environ = request["env"] if not request.get("in_memfd") else read_memfd(fds)["env"]
        except StartError:
            self._environ = None

    def _env_beside(self, own: dict[str, str]) -> dict[str, str]:
        if self._environ is None:
            raise StartError("start", errno.EMFILE)
        return self._environ | own

    def _report(self, report: Json, run: str | None = None) -> None:
        if self._introduced:
            self._reports.append((report, run))

    def _flush(self) -> None:
        """Send what the daemon takes now; the rest goes when it can take more."""
        self._crowded = False
        while self._daemon is not None and self._reports:
            report, name = self._reports[0]
            run = self._runs.get(name) if name is not None else None
            fds = [run.fds[kind] for kind in report.get("fds", ())] if run is not None else []
            try:
                socket.send_fds(self._daemon, [json.dumps(report).encode()], fds)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    self._hang_up()
                    return
                self._crowded = True
                break
            self._reports.popleft()
        if self._daemon is not None:
            waits = bool(self._reports) and not self._crowded
            self._poll.modify(self._daemon, select.POLLIN | (select.POLLOUT if waits else 0))

    # -- runs --

    def _spawn(self, request: Json, fds: list[int]) -> None:
        name = request["run"]
        if name in self._runs or name in self._templates:
            close_all(fds)
            self._report({"event": "spawn-failed", "run": name, "error": StartError("start", errno.EEXIST).report})
            return
        run = Run(name)
        try:
            if request.get("in_memfd"):
                request |= read_memfd(fds)
            run.give(request["fds"], fds) if "fds" in request else close_all(fds)
            run.meta, run.notify_path = request.get("meta", ""), request.get("notify")
            request["env"] = self._env_beside(request["env"])
            if request.get("preload") is not None:
                self._templates.ask(run, request)
                return
            self._births.start(run, request)
        except StartError as error:
            self._abandon(run, error.report)
            return
        except (KeyError, TypeError) as error:
            self._abandon(run, StartError("start", f"the request is malformed: {error!r}").report)
            return
        self._born(run)

    def _born(self, run: Run) -> None:
        """It has a process, which runs, or is on its way to what it is to run."""
        self._runs[run.run] = run
        self._by_pid[run.pid] = run
        if run.answers is None:
            self._report(run.report("spawned"), run.run)
        else:
            self._report({"event": "born", "run": run.run})
            self._starting[run.answers] = run
            self._poll.register(run.answers, select.POLLIN)

    def _abandon(self, run: Run, error: Json) -> None:
        run.close()
        self._report({"event": "spawn-failed", "run": run.run, "error": error})

    def _learn(self, run: Run) -> None:
        """A forked child has told something, or its exec has closed the pipe: then it is started."""
        if run.answers is None:
            return
        try:
            told = os.read(run.answers, PACKET_BYTES)
        except BlockingIOError:
            return
        for line in told.splitlines():
            answer = answer_of(line)
            if "directory" in answer:
                run.directory = answer["directory"]
            else:
                self._stop_learning(run)
                del self._runs[run.run]
                self._by_pid.pop(run.pid, None)
                with contextlib.suppress(OSError):  # it ends by itself, unless it lies
                    signal.pidfd_send_signal(run.fds["pidfd"], signal.SIGKILL)
                self._abandon(run, answer)
                return
        if not told:
            self._start(run)

    def _start(self, run: Run) -> None:
        self._stop_learning(run)
        self._report(run.report("spawned"), run.run)

    def _stop_learning(self, run: Run) -> None:
        if run.answers is not None:
            del self._starting[run.answers]
            self._poll.unregister(run.answers)
            os.close(run.answers)
            run.answers = None

    def _hold(self, request: Json, fds: list[int]) -> None:
        """Take over what an earlier keeper held; the daemon learns of its exit by itself."""
        run = Run(request["run"])
        run.meta, run.notify_path = request["meta"], request.get("notify")
        run.pid, run.directory, run.cgroup = request["pid"], request["directory"], request.get("cgroup")
        run.fds = dict(zip(request["fds"], fds, strict=False))
        run.status = request.get("status")
        run.foreign = True
        self._runs[run.run] = run

    def _forget(self, name: str) -> None:
        run = self._runs.pop(name, None)
        if run is not None:
            self._stop_learning(run)
            run.close()
            if self._by_pid.get(run.pid) is run:
                del self._by_pid[run.pid]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._templates.reaped(pid, status)
            run = self._by_pid.pop(pid, None)
            if run is not None:
                self._learn(run)  # what it told before it ended, all at once
                if run.answers is not None:  # another process has the pipe, too, and may never close it
                    self._start(run)
            if run is not None and run.run in self._runs:
                run.status = status
                self._report({"event": "exited", "run": run.run, "status": status})


def wake(_number: int, _frame: object) -> None:
    """A handler that does nothing: with one, the signal writes to the wake-up pipe."""


def close_all(fds: list[int]) -> None:
    """Close what came in vain."""
    for descriptor in fds:
        os.close(descriptor)


def read_memfd(fds: list[int]) -> Json:
    """The body that did not fit into a packet.

    Raises:
        StartError: its descriptor did not arrive, as the keeper has too many open.

    """
    if not fds:
        raise StartError("start", errno.EMFILE)
    with open(fds.pop(0), "rb") as file:
        file.seek(0)
        body: Json = json.load(file)
    return body
