"""`fleetd schema`"""

from __future__ import annotations

import argparse
import json

from fleetd.cli.parser import Parser
from fleetd.config.schema import schema
from fleetd.errors import ExitCode


def define(_: Parser) -> None:
    """No arguments."""


def run(_: argparse.Namespace) -> int:
    """Print the JSON Schema of the pool file."""
    print(json.dumps(schema(), indent=2))
    return ExitCode.DONE
