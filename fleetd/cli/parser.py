"""Arguments of a command: argparse, with errors of one line and an example in every help."""

from __future__ import annotations

import argparse
from typing import NoReturn, TypeVar

from fleetd.errors import UsageError

_Action = TypeVar("_Action", bound=argparse.Action)


class Parser(argparse.ArgumentParser):
    """The parser of one command; `arguments` lists what was added to it, for completion and the reference."""

    def __init__(self, command: str, summary: str, example: str) -> None:
        self.arguments: list[argparse.Action] = []
        self.summary = summary
        self.example = example
        super().__init__(
            prog=f"fleetd {command}",
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"Example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise UsageError: argparse would print the usage, too."""
        raise UsageError(f"{message}; see `{self.prog} --help`")

    def _add_action(self, action: _Action) -> _Action:
        self.arguments.append(action)
        return super()._add_action(action)


def add_targets(parser: Parser, *, required: bool = False) -> None:
    """TARGET…: pools, workers, patterns over either."""
    parser.add_argument(
        "targets",
        metavar="TARGET",
        nargs="+" if required else "*",
        help="a pool (media), a worker (media:0), or a shell pattern over either",
    )


def add_json(parser: Parser) -> None:
    """--json"""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
