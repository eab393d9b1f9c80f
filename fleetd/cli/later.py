"""Commands that this version does not have yet."""

from __future__ import annotations

import argparse

from fleetd.cli.parser import Parser
from fleetd.errors import UsageError


def define(parser: Parser) -> None:
    """Take any words: the answer is the same."""
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def not_yet() -> UsageError:
    """The error of a command that is planned."""
    return UsageError("not yet in this version")
