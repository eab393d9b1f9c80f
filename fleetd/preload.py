"""The template of a preloaded pool: imports the application once, then forks workers from it.

A program of its own, run by its path with the application's interpreter (Python 3.9 or later): standard library only,
nothing of fleetd.  `python .../fleetd/preload.py SOCKET POOL`; what is said on the socket is written down in
`fleetd/keeper/template.py`, the keeper's side of it.

A worker is forked twice, so that it becomes the child of the keeper, which is the subreaper; it says hello on a socket
of its own, from where the kernel tells the keeper who it is, and begins once the keeper holds it.  It is as a process
by exec would be after the same imports: signal handlers, threads and files that they left are the application's own.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import sys
import traceback
from types import TracebackType
from typing import Any, NoReturn

PACKET_BYTES = 65536
MOST_SAID = 65536  # bytes of what the imports wrote that are kept for the first worker
LONGEST_PROBLEM = 500
BATCH = 16  # workers that one intermediate process forks, before the first of them begins
RESERVED = b"FLEETD_TEMPLATE="  # the variable whose place in memory FLEETD_RUN takes, where /proc/PID/environ reads it

Json = dict[str, Any]


class RefusedError(Exception):
    """A worker cannot begin: at which stage, on what, why (an errno or a few words), and in which line of the file."""

    def __init__(self, stage: str, what: str, reason: Any, line: int | None = None) -> None:
        super().__init__(stage, what, reason)
        self.report: Json = {"stage": stage, "what": what, "line": line}
        self.report["errno" if isinstance(reason, int) else "problem"] = reason


class Template:
    """The process that has imported the application."""

    def __init__(self, keeper: socket.socket) -> None:
        self._keeper = keeper
        self._said = b""  # what the imports wrote, until the first worker has it
        self._title = self._mark = (0, 0)  # where in memory, and how many bytes
        self._environ = dict(os.environ)
        self._umask = os.umask(0o077)
        os.umask(self._umask)

    # -- importing ---------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Import what the keeper says, and tell it that workers may be asked for; ends the process if that fails."""
        task = json.loads(self._keeper.recv(PACKET_BYTES))
        self._end_with_the_keeper(signal.SIGKILL)
        self._find_marks()
        what = ""
        try:
            for module in task["modules"]:
                what = f"preload {module}"
                importlib.import_module(module)
            if task["entry"] is not None:
                what = f"entry {task['entry']}"
                function_of(task["entry"])
        except BaseException as error:  # noqa: BLE001 - SystemExit, too
            traceback.print_exc()
            self._tell({"failed": {"what": what, "problem": explain(error)}})
            flush()
            os._exit(1)
        self._end_with_the_keeper(None)
        self._take_output()
        gc.collect()
        gc.freeze()
        self._tell({"ready": {"threads": len(os.listdir("/proc/self/task"))}})

    def _tell(self, report: Json) -> None:
        try:
            self._keeper.send(json.dumps(report).encode())
        except OSError:  # the keeper has gone
            os._exit(0)

    def _end_with_the_keeper(self, number: int | None) -> None:
        """Have the kernel send us a signal when the keeper hangs up: we would see it only after the imports else."""
        flags = fcntl.fcntl(self._keeper, fcntl.F_GETFL)
        if number is not None:
            fcntl.fcntl(self._keeper, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(self._keeper, fcntl.F_SETSIG, number)
        fcntl.fcntl(self._keeper, fcntl.F_SETFL, flags & ~fcntl.FASYNC if number is None else flags | fcntl.FASYNC)

    def _take_output(self) -> None:
        """Keep what the imports wrote (into a file in memory, so that it blocks nobody); what follows goes nowhere."""
        flush()
        try:
            size = os.lseek(1, 0, os.SEEK_END)
            self._said = os.pread(1, MOST_SAID, max(0, size - MOST_SAID))
            os.ftruncate(1, 0)
        except OSError:
            pass
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    # -- forking -----------------------------------------------------------------------------------------------------

    def serve(self) -> tuple[int, int, int]:
        """Fork a worker for each request; returns in each of them, with its socket, output and answers."""
        while True:
            births = self._receive()
            gate, shut = os.pipe()
            try:
                intermediate = os.fork()
            except OSError as error:
                refuse(births, error)
                os.close(gate)
            else:
                if intermediate == 0:
                    os.close(shut)
                    return self._fork_all(births, gate)
                os.close(gate)
                self._said = b""
                wait_for(intermediate)
            os.close(shut)  # the intermediate is gone: whatever it forked is the keeper's now
            for descriptor in (each for birth in births for each in birth):
                os.close(descriptor)

    def _receive(self) -> list[tuple[int, int, int]]:
        """All births that wait; at least one, however long that takes."""
        births: list[tuple[int, int, int]] = []
        while len(births) < BATCH:
            try:
                flags = socket.MSG_DONTWAIT if births else 0
                body, fds = receive(self._keeper, 16, 3, flags)
            except BlockingIOError:
                break
            except OSError:
                body, fds = b"", []
            if len(fds) == 3:  # noqa: PLR2004
                births.append((fds[0], fds[1], fds[2]))
            elif not body and not births:
                os._exit(0)
            else:
                break
        return births

    def _fork_all(self, births: list[tuple[int, int, int]], gate: int) -> tuple[int, int, int]:
        """In the intermediate: fork the workers and end; returns in each of them, once it is the keeper's child."""
        for number, birth in enumerate(births):
            try:
                worker = os.fork()
            except OSError as error:
                refuse(births[number:], error)
                break
            if worker == 0:
                self._keeper.close()
                for descriptor in (each for other in births[number + 1 :] for each in other):
                    os.close(descriptor)
                os.setsid()
                os.read(gate, 1)
                os.close(gate)
                return birth
            self._said = b""
            for descriptor in birth:
                os.close(descriptor)
        os._exit(0)

    # -- beginning ---------------------------------------------------------------------------------------------------

    def begin(self, birth: tuple[int, int, int]) -> Json:
        """In a worker: become what the keeper says; the request, which says what to run."""
        hello, output, answers = birth
        request = greet(hello)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        try:
            self._become(request, answers)
        except RefusedError as refusal:
            give_up(answers, refusal.report)
        except OSError as error:
            give_up(answers, {"stage": "start", "what": "", "line": None, "errno": error.errno})
        os.close(answers)  # this says that we run
        if self._said:
            os.write(2, self._said)
        return request

    def _become(self, request: Json, answers: int) -> None:
        os.umask(self._umask)
        directory = request["directory"]
        try:
            os.chdir(directory)
            directory = os.getcwd()
        except OSError as error:
            raise RefusedError("directory", directory, error.errno) from error
        env = request["env"]
        if request.get("env_file"):
            env.update(variables_of(request["env_file"], set(request["env_wins"])))
        env["PWD"] = directory
        self._take_environment(env)
        os.write(answers, json.dumps({"directory": directory}).encode() + b"\n")
        if request["run"][0] == "script":
            request["run"][1] = find_script(request["run"][1])
        self._write_marks(request["argv"], env.get("FLEETD_RUN", ""))
        if "numpy.random" in sys.modules:  # `random` sees to it by itself
            sys.modules["numpy.random"].seed()

    def _take_environment(self, env: dict[str, str]) -> None:
        """Each variable as the keeper says, but for those that the imports set or removed: they did it for us, too."""
        for name in self._environ.keys() | env.keys():
            now, wanted = os.environ.get(name), env.get(name)
            if now == wanted or now != self._environ.get(name):
                continue
            if wanted is None:
                del os.environ[name]
            else:
                os.environ[name] = wanted

    # -- what others see of a worker ---------------------------------------------------------------------------------

    def _find_marks(self) -> None:
        """Where the kernel looks for the command line and the environment that /proc shows (proc(5))."""
        try:
            with open("/proc/self/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            with open("/proc/self/environ", "rb") as file:
                environment = file.read()
        except OSError:
            return
        first, end, variables = (int(fields[number - 3]) for number in (48, 49, 50))
        self._title = first, end - first
        at = environment.find(RESERVED)
        if at >= 0:
            self._mark = variables + at, environment.index(b"\0", at) - at

    def _write_marks(self, argv: list[str], run: str) -> None:
        """Show the worker's own command line and FLEETD_RUN, by which what it forks is known; best effort."""
        place, room = self._title
        title = " ".join(argv).encode(errors="replace")[: room - 2].ljust(room - 1, b"\0") + b"."
        # With a last byte that is not zero, the kernel shows a title of our own, up to its first zero byte.
        marks = [(place, title if room > 1 else b"")]
        place, room = self._mark
        marks.append((place, (b"FLEETD_RUN=" + run.encode())[:room].ljust(room, b"\0")))
        try:
            memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            for place, text in marks:
                if text:
                    os.pwrite(memory, text, place)
        except OSError:
            pass
        finally:
            os.close(memory)


# -- pieces of the birth ---------------------------------------------------------------------------------------------


def receive(source: socket.socket, size: int, most: int, flags: int = 0) -> tuple[bytes, list[int]]:
    """A packet with its descriptors; socket.recv_fds ignores flags before Python 3.12."""
    fds = array.array("i")
    body, ancillary, _, _ = source.recvmsg(size, socket.CMSG_LEN(most * fds.itemsize), flags | socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return body, list(fds)


def greet(hello: int) -> Json:
    """Tell the keeper that we are here, and wait until it holds us; ends the process if it wants us no more."""
    with socket.socket(fileno=hello) as keeper:
        try:
            keeper.send(b"hello")
            body, fds = receive(keeper, PACKET_BYTES, 1)
        except OSError:
            os._exit(1)
    if fds:
        with open(fds[0], "rb") as file:
            file.seek(0)
            body = file.read()
    if not body:
        os._exit(1)
    request: Json = json.loads(body)
    return request


def give_up(answers: int, report: Json) -> NoReturn:
    """Say why the worker does not begin, and end."""
    try:
        os.write(answers, json.dumps(report).encode() + b"\n")
    finally:
        os._exit(127)


def refuse(births: list[tuple[int, int, int]], error: OSError) -> None:
    """Say that there can be no process."""
    for _, _, answers in births:
        os.write(
            answers, json.dumps({"stage": "fork", "what": "", "line": None, "errno": error.errno}).encode() + b"\n"
        )


def wait_for(pid: int) -> None:
    """Until our child has ended, also where the application has told the kernel to reap its children."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def variables_of(path: str, wins: set[str]) -> dict[str, str]:
    """The variables of an env-file, read by the same rules as for all other workers."""
    reader = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper", "environment.py")
    rules = runpy.run_path(reader)
    try:
        variables: dict[str, str] = rules["read_env_file"](path)
    except rules["EnvFileError"] as error:
        raise RefusedError("env-file", path, error.reason, error.line) from error
    return {name: value for name, value in variables.items() if name not in wins}


def find_script(name: str) -> str:
    """The script that a command's first word means: itself with a slash in it, else the first on PATH."""
    found = name if "/" in name else shutil.which(name)
    if found is None:
        raise RefusedError("program", name, errno.ENOENT)
    if not os.access(found, os.R_OK):
        raise RefusedError("program", name, errno.ENOENT if not os.path.exists(found) else errno.EACCES)
    return found


# -- the application -------------------------------------------------------------------------------------------------


def function_of(entry: str) -> Any:
    """What "module:function" names."""
    module, _, path = entry.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{entry} cannot be called")
    return found


def run(request: Json) -> int:
    """Run the worker's program in this process; its exit code.  SystemExit and KeyboardInterrupt go on as usual."""
    kind, what = request["run"]
    sys.argv = [what, *request["arguments"]]
    try:
        if kind == "entry":
            result = function_of(what)()
            return result if isinstance(result, int) else 0
        if kind == "module":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(what, run_name="__main__")
    except Exception as error:  # noqa: BLE001 - as the interpreter does, but without our own frames
        trace = own_part(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


OURS = (__file__, runpy.__file__, "<frozen runpy>")


def own_part(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the application's first frame on."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in OURS:
        trace = trace.tb_next
    return trace


def explain(error: BaseException) -> str:
    """The last line of a traceback, and where that was."""
    text = "".join(traceback.format_exception_only(type(error), error)[-1]).strip().split("\n")[0][:LONGEST_PROBLEM]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{text} ({error.filename}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    frames = [frame for frame in frames if frame.filename not in (__file__, importlib.__file__)]
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else f"{text} (in {os.getcwd()})"


def flush() -> None:
    """Have written what is buffered."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def main() -> int:
    """In the template: never returns.  In a worker: its exit code."""
    keeper = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(keeper.fileno(), False)  # noqa: FBT003 - positional only
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = os.getcwd()  # as `python -m` has it, instead of the folder of this file
    sys.argv = sys.argv[:1]
    template = Template(keeper)
    template.load()
    return run(template.begin(template.serve()))


if __name__ == "__main__":
    sys.exit(main())
