"""`fleetd self-check`: what a daemon asks the installed version before it gives its place to it (hidden)."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pkgutil import walk_packages

import fleetd
from fleetd import keeper
from fleetd.cli import start
from fleetd.cli.configuration import accepted
from fleetd.cli.parser import Parser
from fleetd.errors import ExitCode
from fleetd.shell import handover, journal, memory, paths
from fleetd.shell.documents import encode
from fleetd.shell.self_check import Verdict

_PARTS = ("core", "config", "frameworks", "views", "shell", "keeper")  # what every daemon needs of the package
_IN_A_FLEET = ("coordination",)


def define(parser: Parser) -> None:
    """The arguments of `fleetd start`: those that the daemon was started with."""
    start.define(parser)


def run(args: argparse.Namespace) -> int:
    """Do all that a daemon does before it is one, change nothing, and say what this version is.

    Raises FleetdError with why it could not take over.
    """
    name = paths.instance_name(args.files, args.instance)
    loaded = accepted(args.files, name)
    assert loaded.spec is not None
    for part in (*_PARTS, *(() if loaded.spec.member is None else _IN_A_FLEET)):
        _import_all(part)
    places = paths.instance(name, loaded.spec.daemon)
    memory.load(places.state_file)
    journal.check(places.journal)
    said = Verdict(fleetd.__version__, (keeper.PROTOCOL,), (handover.FORMAT,), str(places.runtime))
    sys.stdout.buffer.write(encode(said) + b"\n")
    return ExitCode.DONE


def _import_all(part: str) -> None:
    package = import_module(f"fleetd.{part}")
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)
