"""`fleetd init`"""

from __future__ import annotations

import argparse

from fleetd.cli.parser import Parser
from fleetd.config.starter import starter
from fleetd.config.suggestions import nearest
from fleetd.errors import ExitCode, UsageError
from fleetd.frameworks.framework import builtin, builtin_names


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument("--framework", metavar="NAME", default="command", help=f"one of {', '.join(builtin_names())}")


def run(args: argparse.Namespace) -> int:
    """Print a commented pool file to start from."""
    framework = builtin(args.framework)
    if framework is None:
        near = nearest(args.framework, builtin_names())
        hint = f"did you mean {near}?" if near else f"there are {', '.join(builtin_names())}"
        raise UsageError(f"--framework: there is no framework {args.framework!r}; {hint}")
    print(starter(framework), end="")
    return ExitCode.DONE
