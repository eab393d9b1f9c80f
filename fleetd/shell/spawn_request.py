"""What the keeper is asked to start, and its refusal in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from fleetd.errors import FleetdError

Json = dict[str, Any]


class LaunchError(FleetdError):
    """A process cannot even be asked for; the text is one line for a person."""


class SpawnRequest(Struct, frozen=True, omit_defaults=True, tag_field="verb", tag="spawn"):
    """One process to be.  What is None is inherited from the keeper, which inherited it from the daemon.

    `env` wins over what the keeper gives to all workers.  `env_file` is read with the worker's identity; its variables
    go under those named in `env_wins`.
    `limits` are pairs of a RLIMIT_ number and a value (-1: unlimited).  `meta` is given back when a run is taken over.
    """

    run: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    directory: str
    meta: str = ""
    notify: str | None = None
    umask: int | None = None
    user: str | None = None  # for messages only; what counts is uid, gid and groups
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    env_file: str | None = None
    env_wins: tuple[str, ...] = ()
    limits: tuple[tuple[int, int], ...] = ()
    nice: int | None = None
    affinity: tuple[int, ...] = ()
    cgroup: str | None = None
    fds: tuple[str, ...] = ()  # which of `fleetd.keeper.ENDS` come along
    preload: Mapping[str, Any] | None = None  # how to be forked from a template: see `fleetd.keeper.templates`


def explain(error: Json, request: SpawnRequest) -> str:
    """One line for a person: what could not be done, on what, and for whom.

    `error` is what the keeper reports: `stage`, `what`, `line`, and `errno` or `problem`.
    """
    number, line = error.get("errno"), error.get("line")
    reason = os.strerror(number).lower() if isinstance(number, int) else str(error.get("problem", "unknown reason"))
    whose = f" for user {request.user}" if request.user is not None else ""
    what = error.get("what") or ""
    stage = error["stage"]
    if stage == "program" and "/" not in what:
        reason = f"not found in PATH ({reason})" if number == errno.ENOENT else reason
    return {
        "directory": f"directory {what}: {reason}{whose}",
        "program": f"command {what}: {reason}{whose}",
        "interpreter": f"command {''.join(request.argv[:1])}: its interpreter {what} does not exist",
        "env-file": f"env-file {what}: {reason}{whose}" if line is None else f"env-file {what}, line {line}: {reason}",
        "identity": f"cannot become user {request.user or request.uid} or its groups: {reason}",
        "limits": f"limits: {limit_name(what)} {reason}",
        "nice": f"nice {what}: {reason}",
        "cpu-affinity": f"cpu-affinity {what}: {reason}",
        "preload": f"{what}: {reason}",
        "notify": f"notify socket {what}: {reason}",
    }.get(stage, f"cannot start a process ({stage}): {reason}")


def limit_name(number: str) -> str:
    """The pool file's word for a RLIMIT_ number."""
    import resource  # noqa: PLC0415 - for an error message only

    names = (name for name in dir(resource) if name.startswith("RLIMIT_") and str(getattr(resource, name)) == number)
    return next(names, number).removeprefix("RLIMIT_").lower()  # the first: RLIMIT_OFILE is RLIMIT_NOFILE, too
