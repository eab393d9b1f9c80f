"""Whether the workers of a pool could be started: user, directory, program, env-file, limits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from fleetd.config.pools import ReadPool
from fleetd.core.effects import Spawn
from fleetd.core.spec import FleetSpec, Launch
from fleetd.doctor.rehearsal import Failure, Rehearsal, rehearse
from fleetd.doctor.report import Rule, Told, place_of, pool_subject
from fleetd.shell.launch import Place, identity_of, inherited, request_for
from fleetd.shell.spawn_request import LaunchError, SpawnRequest

MOST_SLOTS = 64  # that are rehearsed one by one, where `{slot}` makes them differ

USER = Rule(
    "user",
    "that `user` and `group` exist, and may be become by who runs the doctor",
    "no worker of the pool can be started",
    "create the user, correct the name, or run fleetd as root: only root may become another user",
)
DIRECTORY = Rule(
    "directory",
    "that `directory` exists, and the worker's user may enter it",
    "no worker of the pool can be started",
    "create it, correct the path, or let the user in: each directory above it needs the x bit for that user",
)
PROGRAM = Rule(
    "program",
    "that the command's program is found in the worker's PATH, may be executed by its user, and has its interpreter",
    "no worker of the pool can be started",
    "install it, give its whole path, or set PATH in env: a daemon under systemd has a shorter one than a shell",
)
ENV_FILE = Rule(
    "env-file",
    "that `env-file` can be read by the worker's user, and every line of it understood",
    "no worker of the pool can be started",
    "correct the path or the line, or let the user read it (chgrp, chmod g+r)",
)
LIMITS = Rule(
    "limits",
    "that `limits`, `nice` and `cpu-affinity` can be had here",
    "no worker of the pool can be started",
    "lower what is asked for, or raise the hard limit of who runs fleetd",
)
RULES = (USER, DIRECTORY, PROGRAM, ENV_FILE, LIMITS)

# By the stage of a start: the rule, and the pool's key.
_STAGES: Mapping[str, tuple[Rule, str]] = MappingProxyType(
    {
        "user": (USER, "user"),
        "group": (USER, "group"),
        "identity": (USER, "user"),
        "directory": (DIRECTORY, "directory"),
        "program": (PROGRAM, "command"),
        "interpreter": (PROGRAM, "command"),
        "preload": (PROGRAM, "preload"),
        "env-file": (ENV_FILE, "env-file"),
        "limits": (LIMITS, "limits"),
        "nice": (LIMITS, "nice"),
        "cpu-affinity": (LIMITS, "cpu-affinity"),
    }
)


class Start(Struct, frozen=True):
    """A start that was rehearsed; `request` is None where not even a request could be made."""

    request: SpawnRequest | None
    rehearsal: Rehearsal


def observe(spec: FleetSpec, pool: ReadPool) -> tuple[Start, ...]:
    """A rehearsal for each slot that differs from those before it."""
    starts: dict[object, Start] = {}
    for slot in range(min(pool.spec.numprocs, MOST_SLOTS)):
        try:
            request = _request(spec, pool, slot)
        except LaunchError as error:
            failure = Failure(_stage(pool.spec.launch), str(error))
            starts.setdefault(failure, Start(None, Rehearsal("", (failure,))))
            continue
        what = (request.argv[0], request.directory, request.env.get("PATH"))
        if what not in starts:
            starts[what] = Start(request, rehearse(request))
    return tuple(starts.values())


def judge(pool: ReadPool, starts: tuple[Start, ...]) -> Iterator[Told]:
    """What is to be said of a pool's starts."""
    subject = pool_subject(pool.spec.name)
    told: set[Failure] = set()
    for start in starts:
        for failure in start.rehearsal.failures:
            if failure not in told:
                told.add(failure)
                rule, key = _STAGES.get(failure.stage, (PROGRAM, "command"))
                yield rule.error(subject, failure.message, place_of(pool.node, key))
        if start.request is not None and not start.rehearsal.failures:
            user = f" as {start.request.user}" if start.request.user else ""
            yield PROGRAM.ok(subject, f"{start.rehearsal.program} can be started{user} in {start.request.directory}")


def _request(spec: FleetSpec, pool: ReadPool, slot: int) -> SpawnRequest:
    """What the keeper would be asked for, with the environment that it adds.  Raises LaunchError."""
    member = spec.member
    place = Place(
        host=spec.host or os.uname().nodename,
        fleet=None if member is None else member.fleet,
        directory=str(Path.cwd()),
        notify_folder=Path("/nonexistent"),
    )
    launch = pool.spec.launch
    request = request_for(Spawn("0" * 32, pool.spec.name, slot, launch, None, None, launch.max_jobs), place)
    environment = {**inherited(os.environ), **request.env}
    if request.preload is not None:
        return replace(request, argv=tuple(request.preload["python"]), env=environment)
    return replace(request, env=environment)


def _stage(launch: Launch) -> str:
    """At which stage a launch failed for which not even a request could be made."""
    for key, user, group in (("user", launch.user, None), ("group", None, launch.group)):
        try:
            identity_of(user, group)
        except LaunchError:
            return key
    return "preload" if launch.is_preloaded else "limits"
