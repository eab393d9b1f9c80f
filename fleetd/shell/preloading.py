"""How a preloaded worker is to be forked: its interpreter, its program, and what the template is told of the pool."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from fleetd.core.effects import Spawn
from fleetd.core.facts import Fact, Kind
from fleetd.shell.spawn_request import LaunchError

Json = dict[str, Any]

OF_A_RUN = frozenset(
    {"FLEETD_SLOT", "FLEETD_WORKER", "FLEETD_MAX_JOBS", "FLEETD_EPOCH", "FLEETD_RUN", "NOTIFY_SOCKET", "WATCHDOG_USEC"}
)  # what a template is not told, as it is another for each worker
DIFFERS = re.compile(r"\{\{|\{(?:slot|epoch|run)\}")
PYTHON = re.compile(r"python(\d+(\.\d+)?)?[a-z]?")
WITH_VALUE = ("-W", "-X")  # options of the interpreter that the next argument belongs to
HEAD_BYTES = 4096


class Program(Struct, frozen=True):
    """A Python program: the interpreter with its options, what it runs, and the arguments after that."""

    python: tuple[str, ...]
    kind: str  # entry, module or script
    what: str
    arguments: tuple[str, ...] = ()


def preload_of(spawn: Spawn, argv: tuple[str, ...], env: Mapping[str, str], directory: str) -> Json:
    """What the keeper needs to fork this worker from a template.

    Raises:
        LaunchError: the command is no Python program.

    """
    launch = spawn.launch
    if launch.entry is not None:
        program = Program((launch.python or "python3",), "entry", launch.entry)
    else:
        program = python_program(argv, env.get("PATH", os.defpath), Path(directory))
        if launch.python is not None:
            program = Program((launch.python, *program.python[1:]), program.kind, program.what, program.arguments)
    own = {name for name, text in launch.env.items() if any(m != "{{" for m in DIFFERS.findall(text))}
    return {
        "pool": spawn.pool,
        "generation": spawn.generation,
        "timeout": spawn.start_timeout,
        "python": program.python,
        "modules": launch.preload,
        "run": (program.kind, program.what),
        "arguments": program.arguments,
        "own": sorted((OF_A_RUN | own) & env.keys()),
    }


def python_program(argv: tuple[str, ...], path: str, directory: Path) -> Program:
    """The Python program that a command line means: `python …`, or a script whose first line names an interpreter.

    Raises:
        LaunchError: it is none, or one that cannot be run in a process that has the interpreter already.

    """
    if PYTHON.fullmatch(Path(argv[0]).name):
        return _called(argv)
    script = _find(argv[0], path, directory)
    interpreter = _interpreter(script)
    if not interpreter or not PYTHON.fullmatch(Path(interpreter[0]).name):
        named = f"its first line names {interpreter[0]}" if interpreter else "it is no script"
        raise LaunchError(
            f"preload: {script} is no Python program ({named}): take preload out, or give a command that is"
        )
    return Program(interpreter, "script", argv[0], argv[1:])


def _called(argv: tuple[str, ...]) -> Program:
    """`python [options] -m MODULE …`, or `python [options] SCRIPT …`."""
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in {"-", "-c"}:
        if argv[at].startswith("-m"):
            module = argv[at][2:] or (argv[at + 1] if at + 1 < len(argv) else "")
            if module:
                return Program(argv[:at], "module", module, argv[at + (1 if argv[at][2:] else 2) :])
            break
        at += 2 if argv[at] in WITH_VALUE else 1
    if at >= len(argv) or argv[at].startswith("-"):
        raise LaunchError(f"preload: {shlex.join(argv)} names neither a script nor a module (-m)")
    return Program(argv[:at], "script", argv[at], argv[at + 1 :])


def _find(name: str, path: str, directory: Path) -> Path:
    if "/" in name:
        return directory / name
    for folder in path.split(":"):
        candidate = directory / folder / name
        # Path.is_file raises for a folder that this user may not enter.
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):  # noqa: PTH113
            return candidate
    raise LaunchError(f"command {name}: not found in PATH")


def _interpreter(script: Path) -> tuple[str, ...]:
    """The interpreter that a script's first line names, with its one argument; () for what is no script."""
    try:
        descriptor = os.open(script, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LaunchError(f"command {script}: is not a file")
            head = file.read(HEAD_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise LaunchError(f"command {script}: {os.strerror(error.errno or 0).lower()}") from error
    if not head or not head[0].startswith("#!"):
        return ()
    words = head[0][2:].strip().split(None, 1)
    if words and Path(words[0]).name == "env":
        return tuple(word for word in words[1].split() if word != "-S" and "=" not in word) if words[1:] else ()
    if words[:1] == ["/bin/sh"] and len(head) > 1 and head[1].startswith("'''exec' "):  # pip, where the path is long
        return tuple(shlex.split(head[1].removeprefix("'''exec' "))[:1])
    return tuple(words)


def template_facts(report: Mapping[str, Any]) -> Iterator[Fact]:
    """What to tell people of what the keeper says of a template."""
    pool, fields = report["pool"], {k: v for k, v in report.items() if k not in {"event", "what", "pool"}}
    match report["what"]:
        case "ready":
            yield Fact(Kind.TEMPLATE_READY, pool, fields=fields)
            if fields["threads"] > 1:
                yield Fact(Kind.TEMPLATE_THREADED, pool, fields={"pid": fields["pid"], "threads": fields["threads"]})
        case "ended":
            yield Fact(Kind.TEMPLATE_ENDED, pool, fields=fields)
        case "leaked":
            yield Fact(Kind.TEMPLATE_LEAKED, pool, fields=fields)
        case _:
            pass  # of a newer keeper
