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
        name = paths.instance_name(args.files, args.instance)
        configured = _runtime_directory(args.files)
        directories = (configured,) if configured else directories
    found = paths.find(name, directories)
    return ControlClient(found.name, found.control)


def _runtime_directory(files: list[Path]) -> Path | None:
    """What the files say of it.  Most say nothing, and are not parsed for it: that would take as long as the rest."""
    try:
        texts = [file.read_text(encoding="utf-8") for file in files]
    except (OSError, UnicodeDecodeError):
        return None
    if not any("runtime" in text or "include" in text for text in texts):
        return None
    from fleetd.cli.configuration import runtime_directory_of  # noqa: PLC0415 - reads TOML

    return runtime_directory_of(files)
