"""Rehearsing the start of a worker: everything that the keeper does for one, up to the exec, and then no exec.

The same code as the keeper's takes the identity, enters the directory, reads the env-file and looks for the program, in
a child that ends then.  A probe of the framework is run in the same way, with the exec.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from msgspec import Struct, to_builtins

from fleetd.keeper.environment import EnvFileError, read_env_file
from fleetd.keeper.failure import StartError, answer_of
from fleetd.keeper.worker import enter_directory, explain_exec, find_program, take_identity
from fleetd.shell.spawn_request import SpawnRequest, explain

Json = dict[str, Any]
LONGEST_PROBE = 10.0  # seconds
MOST_OUTPUT = 256 * 1024  # bytes of a probe that are read
_HEAD = 256
_LAST_BREATH = 1.0  # seconds from the end of its output to its own


class Failure(Struct, frozen=True):
    """What keeps a worker from starting, in one line; `stage` is where (`directory`, `program`, `identity` …)."""

    stage: str
    message: str


class Rehearsal(Struct, frozen=True):
    """The file that would be executed, or what is in the way."""

    program: str
    failures: tuple[Failure, ...] = ()


class Output(Struct, frozen=True):
    """What a probe printed on standard output, and how it ended; None: it took too long, and was killed."""

    text: str
    code: int | None


def rehearse(request: SpawnRequest) -> Rehearsal:
    """How a start would go."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(lambda: os.write(writer, json.dumps(_rehearsed(request)).encode()))
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    os.waitpid(pid, 0)
    answer: Json = json.loads(said) if said else {"failures": [StartError("start", "the child ended").report]}
    reports = [answer_of(json.dumps(report).encode()) for report in answer["failures"]]
    return Rehearsal(
        answer.get("program", ""), tuple(Failure(str(each["stage"]), explain(each, request)) for each in reports)
    )


def probe(request: SpawnRequest) -> Output:
    """Run the command of a request as a worker would be; what it says on standard error is not read."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(lambda: _execute(request, writer))
    os.close(writer)
    try:
        text = _read(reader, time.monotonic() + LONGEST_PROBE)
        code = _ended(pid, 0.0 if text is None else _LAST_BREATH)
    finally:
        os.close(reader)
    return Output("" if text is None else text.decode(errors="replace"), None if text is None else code)


def _child(does: Callable[[], object]) -> NoReturn:
    """In the child: do it, and end without anything of the parent's."""
    try:
        does()
    finally:
        os._exit(127)


def _rehearsed(request: SpawnRequest) -> Json:
    """In the child: the program, and the reports of all that failed; after an identity that cannot be had, no more."""
    env, reports, program = dict(request.env), [], ""
    for step in (_take_identity, _enter, _read_env_file):
        try:
            step(request, env)
        except StartError as error:
            reports.append(error.report)
            if step is _take_identity:
                return {"failures": reports}
    try:
        program = _program(request, env)
    except StartError as error:
        if not reports or "/" not in request.argv[0]:  # else it is looked for in the wrong directory
            reports.append(error.report)
    return {"program": program, "failures": reports}


def _take_identity(request: SpawnRequest, _env: dict[str, str]) -> None:
    """As `fleetd.keeper.worker.become` does, like the steps below."""
    take_identity(to_builtins(request))
    if request.umask is not None:
        os.umask(request.umask)


def _enter(request: SpawnRequest, env: dict[str, str]) -> None:
    enter_directory(request.directory, env)


def _read_env_file(request: SpawnRequest, env: dict[str, str]) -> None:
    if request.env_file is None:
        return
    try:
        variables = read_env_file(request.env_file)
    except EnvFileError as error:
        raise StartError("env-file", error.reason, request.env_file, error.line) from error
    env.update({name: value for name, value in variables.items() if name not in request.env_wins})


def _program(request: SpawnRequest, env: dict[str, str]) -> str:
    program = find_program(request.argv[0], env.get("PATH"))
    _check_program(program)
    return program


def _check_program(program: str) -> None:
    """Raise StartError for what exec would refuse: what is not there or may not be executed, or its interpreter."""
    if not os.path.exists(program):  # noqa: PTH110 - as the keeper does, and of a name that is text
        raise StartError("program", errno.ENOENT, program)
    if not (os.path.isfile(program) and os.access(program, os.X_OK)):  # noqa: PTH113 - the same
        raise StartError("program", errno.EACCES, program)
    try:
        with open(program, "rb") as file:  # noqa: PTH123 - the same
            words = file.read(_HEAD).partition(b"\n")[0].removeprefix(b"#!").split()
            is_script = file.seek(0) == 0 and file.read(2) == b"#!"
    except OSError:
        return  # one that may be executed and not read is no script
    if is_script and words and not os.path.exists(words[0]):  # noqa: PTH110 - the same
        raise explain_exec(OSError(errno.ENOENT, ""), program)


def _execute(request: SpawnRequest, output: int) -> None:
    """In the child: become the probe."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(nothing, 2)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    env = dict(request.env)
    for step in (_take_identity, _enter, _read_env_file):
        step(request, env)
    os.execve(_program(request, env), request.argv, env)  # noqa: S606 - no shell is wanted


def _read(reader: int, until: float) -> bytes | None:
    """All that is written until the end, at most MOST_OUTPUT; None when the time is up."""
    taken = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        chunk = os.read(reader, 65536)
        if not chunk or len(taken) >= MOST_OUTPUT:
            return taken
        taken += chunk


def _ended(pid: int, patience: float) -> int:
    """The exit code of the probe, which has so many seconds more; what is left of its process group is killed."""
    descriptor = os.pidfd_open(pid)
    try:
        select.select([descriptor], [], [], patience)
    finally:
        os.close(descriptor)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # nobody has waited for it yet: the number is its own
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
