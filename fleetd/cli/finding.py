"""Which daemon a command is for: --instance, -c FILE, or the only one there is."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from fleetd.cli.parser import Parser
from fleetd.client.control import ControlClient
from fleetd.errors import FleetdError, NotFoundError
from fleetd.shell import paths

_BESIDE_WITHIN = 2.0  # seconds


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


def daemon(args: argparse.Namespace, *, own: bool = False) -> ControlClient:
    """The daemon that is meant; `own`: not one of the system, where the caller is a user with a place of its own.

    Raises NotFoundError when it does not run, UsageError when several run and none is named, or when a file that names
    it cannot be read.
    """
    directories = paths.runtime_directories()
    if own:
        directories = tuple(each for each in directories if each == paths.runtime_directory())
    name: str | None = args.instance
    if args.files:
        name = paths.instance_name(args.files, args.instance)
        configured = _runtime_directory(args.files)
        directories = (configured,) if configured else directories
    try:
        found = paths.find(name, directories)
    except NotFoundError as error:
        missing = next((str(file) for file in args.files if _is_missing(file)), None)
        raise (NotFoundError(f"{missing} does not exist, and {error}") if missing else error) from None
    return ControlClient(found.name, found.control)


def named_by(args: argparse.Namespace) -> str:
    """The words with which other commands find this daemon."""
    files = [word for file in args.files for word in ("-c", str(file))]
    return shlex.join([*files, *(("--instance", args.instance) if args.instance else ())])


def beside(member: str) -> ControlClient | None:
    """The daemon of a fleet's member, HOST/INSTANCE, where it runs on this very host and tells this user so."""
    host, _, instance = member.partition("/")
    try:
        found = paths.find(instance, paths.runtime_directories())
        client = ControlClient(found.name, found.control)
        return client if client.call("fleet", timeout=_BESIDE_WITHIN)["host"] == host else None
    except FleetdError:
        return None


def _is_missing(file: Path) -> bool:
    try:
        return not file.exists()
    except OSError:  # in a directory that the caller may not enter
        return False


def _runtime_directory(files: list[Path]) -> Path | None:
    """What the files say of it, and the least of work for it: to import all that reads them takes as long as the rest.

    What a plain look cannot know (an `include`, a variable, a file that is wrong) is left to that.
    """
    try:
        texts = [file.read_text(encoding="utf-8") for file in files]
    except (OSError, UnicodeDecodeError):
        return None
    if not any("runtime" in text or "include" in text for text in texts):
        return None
    found = None if any("include" in text for text in texts) else _plainly_said(texts)
    if found is not None:
        return Path(found).absolute()
    from fleetd.cli.configuration import runtime_directory_of  # noqa: PLC0415 - see above

    return runtime_directory_of(files)


def _plainly_said(texts: list[str]) -> str | None:
    """The value where one file says it as it is meant."""
    import tomllib  # noqa: PLC0415 - see above

    try:
        tables = [table for text in texts if isinstance(table := tomllib.loads(text).get("daemon"), dict)]
    except tomllib.TOMLDecodeError:
        return None
    said = [table[key] for table in tables for key in ("runtime-directory", "runtime_directory") if key in table]
    return said[0] if len(said) == 1 and isinstance(said[0], str) and "$" not in said[0] else None
