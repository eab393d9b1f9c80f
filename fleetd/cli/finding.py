"""Which daemon a command is for: --instance, -c FILE, or the only one there is."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleetd.cli.parser import Parser
from fleetd.client.control import ControlClient
from fleetd.shell import paths


def add_daemon(parser: Parser) -> None:
    """-c FILE and --instance NAME."""
    add_files(parser, "the pool file of the daemon that is meant; may be repeated")
    parser.add_argument("--instance", metavar="NAME", help="the instance that is meant (the first file's name else)")


def add_files(parser: Parser, meaning: str, *, required: bool = False) -> None:
    """-c FILE, which takes one value and may be repeated."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        dest="files",
        action="append",
        type=Path,
        default=None if required else [],
        required=required,
        help=meaning,
    )


def daemon(args: argparse.Namespace) -> ControlClient:
    """The daemon that is meant.

    Raises NotFoundError when it does not run, UsageError when several run and none is named, or when a file that names
    it cannot be read.
    """
    directories = paths.runtime_directories()
    name: str | None = args.instance
    if args.files:
        from fleetd.cli.configuration import runtime_directory_of  # noqa: PLC0415 - reads TOML

        name = paths.instance_name(args.files, args.instance)
        configured = runtime_directory_of(args.files)
        directories = (configured,) if configured else directories
    found = paths.find(name, directories)
    return ControlClient(found.name, found.control)
