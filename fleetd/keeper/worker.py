"""What a forked child does to become the worker, and what the keeper does of it for one born by vfork."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
from typing import Any

from fleetd.keeper.environment import EnvFileError, read_env_file
from fleetd.keeper.failure import StartError, stage

RESETTABLE = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}

Json = dict[str, Any]


def write_file(path: str, data: bytes) -> None:
    """One write(2), so that the kernel's refusal is seen."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def find_program(name: str, path: str | None) -> str:
    """The file that `name` means: itself with a slash in it, else the first executable on `path`.

    Raises:
        StartError: there is none, or only one that this identity may not execute.

    """
    if "/" in name:
        return name
    reason = errno.ENOENT
    for folder in (os.defpath if path is None else path).split(":"):
        candidate = os.path.join(folder or ".", name)
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            reason = errno.EACCES
    raise StartError("program", reason, name)


def explain_exec(error: OSError, program: str) -> StartError:
    """Why an exec failed: ENOENT for a file that is there means its interpreter."""
    if error.errno == errno.ENOENT and os.path.exists(program):
        with contextlib.suppress(OSError), open(program, "rb") as file:
            first = file.read(256).partition(b"\n")[0]
            words = first[2:].split()
            if first.startswith(b"#!") and words:
                return StartError("interpreter", errno.ENOENT, os.fsdecode(words[0]))
        return StartError("interpreter", errno.ENOENT, "its dynamic loader")
    return StartError("program", error.errno or errno.EIO, program)


def enter_directory(directory: str, env: dict[str, str]) -> str:
    """Change to the directory and say what it resolved to."""
    with stage("directory", directory):
        os.chdir(directory)
        env["PWD"] = os.getcwd()
    return env["PWD"]


def take_identity(request: Json) -> None:
    """Limits first, as they may need the privileges that the user change gives up."""
    for number, value in request.get("limits") or ():
        try:
            resource.setrlimit(number, (value, value))
        except (OSError, ValueError) as error:  # ValueError: EPERM, as Python puts it
            raise StartError("limits", "is above the hard limit", str(number)) from error
    if request.get("nice") is not None:
        with stage("nice", str(request["nice"])):
            os.setpriority(os.PRIO_PROCESS, 0, request["nice"])
    if request.get("affinity"):
        with stage("cpu-affinity", ",".join(map(str, request["affinity"]))):
            os.sched_setaffinity(0, request["affinity"])
    with stage("identity"):
        if request.get("groups") is not None:
            os.setgroups(request["groups"])
        if request.get("gid") is not None:
            os.setresgid(*[request["gid"]] * 3)
        if request.get("uid") is not None:
            os.setresuid(*[request["uid"]] * 3)


def become(request: Json, output: int, soft_nofile: int, answers: int) -> None:
    """In the forked child: become the worker.  Returns only by an exception."""
    for number in RESETTABLE:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft_nofile, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    take_identity(request)
    if request.get("umask") is not None:
        os.umask(request["umask"])
    env: dict[str, str] = request["env"]
    directory = enter_directory(request["directory"], env)
    if request.get("env_file"):
        wins: frozenset[str] = frozenset(request.get("env_wins") or ())
        try:
            variables = read_env_file(request["env_file"])
        except EnvFileError as error:
            raise StartError("env-file", error.reason, request["env_file"], error.line) from error
        env.update({name: value for name, value in variables.items() if name not in wins})
    os.write(answers, json.dumps({"directory": directory}).encode() + b"\n")
    program = find_program(request["argv"][0], env.get("PATH"))
    try:
        os.execve(program, request["argv"], env)  # noqa: S606
    except OSError as error:
        raise explain_exec(error, program) from error
    except ValueError as error:
        raise StartError("program", errno.EINVAL, program) from error
