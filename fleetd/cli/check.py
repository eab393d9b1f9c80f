"""`fleetd check`"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable

from fleetd.cli.configuration import Host, load_files
from fleetd.cli.finding import add_files
from fleetd.cli.parser import Parser, add_json
from fleetd.cli.waiting import print_json
from fleetd.config.durations import format_duration
from fleetd.config.lint import lint, worst
from fleetd.config.load import Loaded
from fleetd.config.problems import Finding, NotYet, Problem, Severity
from fleetd.core.drain_time import grace_period
from fleetd.errors import ExitCode
from fleetd.shell.paths import instance_name
from fleetd.views.control_characters import made_visible


def define(parser: Parser) -> None:
    """The arguments."""
    add_files(parser, "a pool file; several make one configuration", required=True)
    parser.add_argument("--instance", metavar="NAME", help="check it for this instance (the first file's name else)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print what is wrong with pool files, each pool's full command line, and how long a stop may take."""
    loaded = load_files(args.files, instance_name(args.files, args.instance))
    findings = () if loaded.problems else lint(loaded, Host())
    if args.json:
        print_json(_document(loaded, findings))
    else:
        for told in (*loaded.problems, *loaded.not_yet, *findings):
            print(made_visible(str(told)), file=sys.stderr)
        for name, command in _commands(loaded):
            print(f"{name}: {made_visible(shlex.join(command))}")
        if loaded.spec is not None:
            print(f"grace period: {format_duration(grace_period(loaded.spec))}")
    if loaded.problems:
        return ExitCode.INVALID
    return ExitCode.FAILED if worst(findings) is Severity.ERROR else ExitCode.DONE


def _commands(loaded: Loaded) -> Iterable[tuple[str, tuple[str, ...]]]:
    pools = {} if loaded.spec is None else loaded.spec.pools
    return ((name, pool.launch.shown_command or pool.launch.command) for name, pool in pools.items())


def _document(loaded: Loaded, findings: Iterable[Finding]) -> dict[str, object]:
    return {
        "schema": 1,
        "valid": not loaded.problems,
        "files": list(loaded.files),
        "problems": [_problem(problem) for problem in loaded.problems],
        "not_yet": [_not_yet(note) for note in loaded.not_yet],
        "findings": [{"severity": str(each.severity), **_problem(each.problem)} for each in findings],
        "grace_period": None if loaded.spec is None else grace_period(loaded.spec),
        "pools": [{"name": name, "command": list(command)} for name, command in _commands(loaded)],
    }


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.where.file,
        "line": problem.where.line or None,
        "key": problem.key or None,
        "message": problem.message,
        "remedy": problem.remedy or None,
    }


def _not_yet(note: NotYet) -> dict[str, object]:
    return {**_problem(note.problem), "refuses": note.refuses}
