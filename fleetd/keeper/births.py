"""Making processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
from typing import Any, NoReturn

from fleetd.keeper import NEEDS_FORK
from fleetd.keeper.failure import StartError, stage
from fleetd.keeper.run import Run
from fleetd.keeper.worker import RESETTABLE, become, enter_directory, explain_exec, find_program, write_file

Json = dict[str, Any]


class Births:
    """Makes processes: by vfork where the worker is as the keeper is, else by a fork that changes what must change."""

    def __init__(self, home: int | None, soft_nofile: int) -> None:
        self._home = home  # cgroup.procs of the keeper's own cgroup
        self._inside: str | None = None  # the cgroup that it is in instead
        self._soft_nofile = soft_nofile
        self._hard_nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._low = os.dup(self._nowhere)  # below the worker's soft limit, beyond which posix_spawn takes no descriptor

    def start(self, run: Run, request: Json) -> None:
        """Fill in `run`; one that has `answers` is not known to run until these end.

        Raises:
            StartError: nothing was started.

        """
        uid = request.get("uid")
        run.open_notify(uid)
        output = run.open_output(uid)
        try:
            run.cgroup = self.enter(request.get("cgroup"))
            needs_fork = any(request.get(key) not in (None, []) for key in NEEDS_FORK)
            run.pid = (self._fork if needs_fork else self._spawn)(run, request, output)
        finally:
            os.close(output)
            self._leave()  # before anything is told: from then on the run may be killed with all that is in its cgroup
        try:
            run.fds["pidfd"] = os.pidfd_open(run.pid)
        except OSError as error:
            os.kill(run.pid, signal.SIGKILL)  # nothing has reaped it yet, so the number is still its own
            raise StartError("pidfd", error.errno or errno.EIO) from error

    def _spawn(self, run: Run, request: Json, output: int) -> int:
        """posix_spawn never copies the keeper, and takes directory, umask and cgroup from it as they stand."""
        env, argv = request["env"], request["argv"]
        umask = os.umask(request["umask"]) if request.get("umask") is not None else None
        try:
            run.directory = enter_directory(request["directory"], env)
            program = find_program(argv[0], env.get("PATH"))
            os.dup2(output, self._low, inheritable=False)
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._soft_nofile, self._hard_nofile))
            try:
                return os.posix_spawn(
                    program,
                    argv,
                    env,
                    file_actions=[(os.POSIX_SPAWN_DUP2, self._low, 1), (os.POSIX_SPAWN_DUP2, self._low, 2)],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=RESETTABLE,
                )
            except OSError as error:
                raise explain_exec(error, program) from error
            except ValueError as error:
                raise StartError("program", errno.EINVAL, program) from error
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self._hard_nofile, self._hard_nofile))
                os.dup2(self._nowhere, self._low, inheritable=False)
        finally:
            if umask is not None:
                os.umask(umask)
            os.chdir("/")

    def enter(self, cgroup: str | None) -> str | None:
        """Go where a worker is to be born; None where that is not possible.

        The first move of a process between cgroups in a while takes 5 to 10 ms, as the kernel waits for all its
        processors to notice: so the daemon has the keeper go where the next worker is to be born before there is one.
        """
        if cgroup is None or self._home is None:
            self._leave()
            return None
        if cgroup != self._inside:
            try:
                write_file(cgroup + "/cgroup.procs", b"0")
            except OSError:
                self._leave()
                return None
            self._inside = cgroup
        return cgroup

    def _leave(self) -> None:
        """Go home; the folder above the runs serves where home is gone, as a run's own is killed whole."""
        if self._inside is None or self._home is None:
            return
        try:
            os.write(self._home, b"0")
        except OSError:
            with contextlib.suppress(OSError):
                write_file(os.path.dirname(self._inside) + "/cgroup.procs", b"0")
        self._inside = None

    def _fork(self, run: Run, request: Json, output: int) -> int:
        with stage("fork"):
            run.answers, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            signal.pthread_sigmask(signal.SIG_BLOCK, RESETTABLE)
            try:
                pid = os.fork()
                if pid == 0:
                    self._child(request, output, told)
                return pid
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                os.close(told)

    def _child(self, request: Json, output: int, told: int) -> NoReturn:
        error: Json = {"stage": "start", "what": "", "line": None, "problem": "the keeper's child failed"}
        try:
            become(request, output, self._soft_nofile, told)
        except StartError as problem:
            error = problem.report
        except OSError as problem:
            error |= {"errno": problem.errno}
        finally:  # whatever happened, a forked keeper must not go on as a second one
            try:
                os.write(told, json.dumps(error).encode() + b"\n")
            finally:
                os._exit(127)


def own_cgroup() -> int | None:
    """cgroup.procs of the cgroup v2 that this process is in, open for writing, to come back to."""
    with contextlib.suppress(OSError):
        with open("/proc/self/cgroup") as file:
            path = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
        with open("/proc/self/mountinfo") as file:
            mounts = [line.split() for line in file]
        for fields in mounts:
            if path is not None and fields[fields.index("-") + 1] == "cgroup2":
                root = fields[3].rstrip("/")
                inside = path.removeprefix(root) if path.startswith(root) else path
                return os.open(fields[4] + inside + "/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    return None
