"""`fleetd doctor`"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from fleetd.cli.configuration import Host, load_files
from fleetd.cli.finding import add_files
from fleetd.cli.parser import Parser, add_json
from fleetd.cli.waiting import on_terminal, print_json
from fleetd.config.lint import lint
from fleetd.config.problems import Problem
from fleetd.doctor.examine import examine
from fleetd.doctor.report import Told, Verdict, exit_code
from fleetd.errors import ExitCode
from fleetd.shell.paths import instance_name
from fleetd.views.control_characters import made_visible

_WORDS = {Verdict.UNKNOWN: "not known", Verdict.UNREACHABLE: "out of reach"}


def define(parser: Parser) -> None:
    """The arguments."""
    add_files(parser, "a pool file; several make one configuration", required=True)
    parser.add_argument("--instance", metavar="NAME", help="for this instance (the first file's name else)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print what the host, the brokers and the frameworks say of pool files, and what `fleetd check` finds."""
    instance = instance_name(args.files, args.instance)
    loaded = load_files(args.files, instance)
    if loaded.problems:
        if args.json:
            print_json(_document(loaded.files, loaded.problems, ()))
        else:
            for problem in loaded.problems:
                print(made_visible(str(problem)), file=sys.stderr)
        return ExitCode.INVALID
    with on_terminal("doctor", quiet=args.json, forks=True) as progress:
        told = examine(loaded, lint(loaded, Host()), instance, progress)
    if args.json:
        print_json(_document(loaded.files, (), told))
    else:
        for line in _lines(told):
            print(made_visible(line))
    return exit_code(told)


def _lines(told: Iterable[Told]) -> Iterable[str]:
    for number, (subject, group) in enumerate(groupby(told, key=lambda each: each.subject)):
        yield from [""][:number]
        yield subject
        for each in group:
            yield f"  {_WORDS.get(each.verdict, each.verdict)}: {each.what}"
            yield from (f"      {word}: {text}" for word, text in _details(each) if text)


def _details(each: Told) -> Iterable[tuple[str, str]]:
    if each.verdict is not Verdict.OK:
        yield "why", each.why
        yield "remedy", each.remedy
        yield "line", "" if each.place is None else str(each.place)


def _document(files: tuple[str, ...], problems: Iterable[Problem], told: tuple[Told, ...]) -> dict[str, object]:
    wrong = [each for each in told if each.verdict not in {Verdict.OK, Verdict.UNKNOWN}]
    return {
        "schema": 1,
        "valid": not problems,
        "files": list(files),
        "problems": [{**_where(each), "message": each.message, "remedy": each.remedy or None} for each in problems],
        "findings": [
            {
                "subject": each.subject,
                "check": each.check,
                "severity": str(each.verdict),
                "where": None if each.place is None else _where(each.place),
                "what": each.what,
                "why": each.why or None,
                "remedy": each.remedy or None,
            }
            for each in wrong
        ],
        "unknown": [_short(each) for each in told if each.verdict is Verdict.UNKNOWN],
        "passed": [_short(each) for each in told if each.verdict is Verdict.OK],
    }


def _where(place: Any) -> dict[str, object]:
    return {"file": place.where.file, "line": place.where.line or None, "key": place.key or None}


def _short(each: Told) -> dict[str, object]:
    return {"subject": each.subject, "check": each.check, "what": each.what}
