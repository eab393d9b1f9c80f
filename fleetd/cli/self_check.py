"""`fleetd self-check`: what a daemon asks the installed version before it gives its place to it (hidden)."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from importlib import import_module
from pkgutil import walk_packages

import fleetd
from fleetd import keeper
from fleetd.cli import start
from fleetd.cli.configuration import accepted
from fleetd.cli.parser import Parser
from fleetd.core.spec import FleetSpec
from fleetd.errors import ExitCode
from fleetd.shell import control, handover, journal, locks, memory, paths
from fleetd.shell.documents import encode
from fleetd.shell.self_check import Verdict

# What every daemon needs of the package: it is put together by cli.launch.
_PARTS = ("core", "config", "frameworks", "views", "shell", "client", "systemd", "keeper", "cli.launch")
_IN_A_FLEET = ("coordination",)


def define(parser: Parser) -> None:
    """The arguments of `fleetd start`: those that the daemon was started with."""
    start.define(parser)


def run(args: argparse.Namespace) -> int:
    """Do all that a daemon does before it is one, change nothing, and say what this version is.

    Raises FleetdError with why it could not take over.
    """
    name = paths.instance_name(args.files, args.instance)
    spec = accepted(args.files, name).spec
    for part in (*_PARTS, *(() if spec.member is None else _IN_A_FLEET)):
        _import_all(part)
    _check_for_this_host(spec)
    places = paths.instance(name, spec.daemon)
    locks.check(places, daemon=os.getppid())
    memory.load(places.state_file)
    journal.check(places.journal)
    said = Verdict(fleetd.__version__, (keeper.PROTOCOL,), (handover.FORMAT,), str(places.runtime))
    sys.stdout.buffer.write(encode(said) + b"\n")
    return ExitCode.DONE


def _import_all(part: str) -> None:
    package = import_module(f"fleetd.{part}")
    for module in walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        import_module(module.name)


def _check_for_this_host(spec: FleetSpec) -> None:
    """What only a start finds: raises UsageError for a group, a name of this host or a URL that will not do."""
    control.check_group(spec.daemon.socket_group)
    if spec.member is not None:
        from fleetd.coordination.opening import open_fleet  # noqa: PLC0415 - a daemon alone does without
        from fleetd.shell import heartbeat  # noqa: PLC0415 - the same

        heartbeat.check_host(spec.host or socket.gethostname())
        open_fleet(spec.member.redis, spec.member.fleet)
