"""The reference page of the commands, made from their parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from fleetd.cli.commands import COMMANDS, parser_of
from fleetd.cli.parser import Parser

_HEAD = """\
# Commands

<!-- Generated from the parsers of the commands by `make docs`; changes here are lost. -->

`TARGET` is a pool (`media`), a worker (`media:0`), or a shell pattern over either; a worker means its run that is not
draining. `D` is a duration: seconds, or `90s`, `15m`, `1h30m`.

Which daemon a command is for: `--instance NAME`, else `-c FILE` (an instance is named after its first file), else the
only one that runs in the caller's runtime directory or in `/run/fleetd`.

Which fleet: `--redis URL --fleet NAME` (a URL with a password is refused, since it would show in `ps`), else the
`[fleet]` of `-c FILE`, else `FLEETD_REDIS` and `FLEETD_FLEET` in the environment, else the one that the daemon is in;
so a machine without a daemon, such as a CI job's, needs those two variables only ([deploying](../deploying.md)).
Files without `[fleet]` mean no fleet. `fleetd restart` is for the whole fleet where there is one; other commands are
for one daemon unless they are told otherwise.

| exit code | meaning |
|---|---|
| 0 | done, or so already |
| 1 | it was tried and failed |
| 2 | the call or the configuration is wrong |
| 3 | no such daemon, pool, worker, rollout or live member |
| 4 | Redis or a broker is out of reach |
| 5 | the time to wait ran out; the work itself goes on |
| 130 | interrupted |

An error is one line on standard error. `--json` prints one JSON document, or one a line for streams, and nothing else
on standard output. `NO_COLOR` is honoured. `FLEETD_DEBUG=1` shows the traceback of an internal error.
"""


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *(line for name in COMMANDS for line in _command(name))])


def usage(parser: Parser) -> str:
    """The call in one line."""
    return " ".join([parser.prog, *(_called(each) for each in _shown(parser))])


def _command(name: str) -> Iterator[str]:
    parser = parser_of(name)
    yield from (f"## fleetd {name}", "", f"{parser.description}", "", "```", usage(parser), "```", "")
    rows = [f"| `{_named(each)}` | {each.help} |" for each in _shown(parser)]
    if rows:
        yield from ("| argument | meaning |", "|---|---|", *rows, "")
    yield from ("```console", f"$ {parser.example}", "```", "")


def _shown(parser: Parser) -> list[argparse.Action]:
    return [each for each in parser.arguments if each.help != argparse.SUPPRESS and each.dest != "help"]


def _called(argument: argparse.Action) -> str:
    if argument.option_strings:
        repeated = "…" if isinstance(argument.default, list) else ""
        return f"{_named(argument)}{repeated}" if argument.required else f"[{_named(argument)}]{repeated}"
    name = _named(argument)
    return {"*": f"[{name}…]", "+": f"{name}…", "?": f"[{name}]"}.get(str(argument.nargs), name)


def _named(argument: argparse.Action) -> str:
    value = argument.metavar or (argument.dest.upper() if argument.nargs != 0 else "")
    value = f"[{value}]" if argument.nargs == "?" and argument.option_strings else value
    if not argument.option_strings:
        return str(value)
    return f"{argument.option_strings[0]} {value}".strip()
