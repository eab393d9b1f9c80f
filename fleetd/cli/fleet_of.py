"""Which fleet a command is for: --redis URL --fleet NAME, -c FILE, the environment, or the daemon's own."""

from __future__ import annotations

import argparse
import os
from typing import Any, NamedTuple

from fleetd.cli.finding import daemon
from fleetd.cli.parser import Parser
from fleetd.errors import FleetdError, NotFoundError, UsageError

URL_VARIABLE = "FLEETD_REDIS"
NAME_VARIABLE = "FLEETD_FLEET"
FOUND = "\0found"  # the value of a --fleet that names none; no name holds a zero byte
_BY_ENVIRONMENT = f"set {URL_VARIABLE} and {NAME_VARIABLE}"


class FleetAddress(NamedTuple):
    """A fleet, and where its hosts meet; the URL may hold a password, and is never shown."""

    name: str
    url: str

    def __repr__(self) -> str:
        return f"FleetAddress({self.name!r})"


def add_fleet(parser: Parser, *, shows: str = "") -> None:
    """--redis URL and --fleet NAME; `shows` is what a --fleet without a name shows, where a command has that."""
    parser.add_argument(
        "--redis",
        metavar="URL",
        help=f"the Redis of the fleet that is meant, without a password (with one: {_BY_ENVIRONMENT})",
    )
    if shows:
        parser.add_argument(
            "--fleet",
            metavar="NAME",
            nargs="?",
            const=FOUND,
            help=f"{shows}; takes a name beside --redis only (else that of -c FILE, {NAME_VARIABLE}, or the daemon)",
        )
    else:
        parser.add_argument("--fleet", metavar="NAME", help="the fleet at --redis that is meant")


def is_named(args: argparse.Namespace) -> bool:
    """Whether --redis and --fleet say which fleet."""
    return args.redis is not None or args.fleet is not None


def split_flag(args: argparse.Namespace) -> None:
    """A word behind --fleet is the fleet's name only beside --redis: else it is the first TARGET."""
    if args.redis is None and args.fleet not in {None, FOUND}:
        args.targets = [args.fleet, *args.targets]
        args.fleet = FOUND


def find_fleet(args: argparse.Namespace) -> FleetAddress | None:
    """The fleet that is meant; None where the daemon that is meant is in none.

    Raises UsageError for half an answer, NotFoundError where nothing names a fleet and no daemon runs.
    """
    explicit = _explicit(args)
    if explicit is not None:
        return explicit
    if args.files:
        return _of_files(args)
    return _of_environment() or _of_daemon(args)


def the_fleet(args: argparse.Namespace) -> FleetAddress:
    """The fleet that is meant.  Raises as `find_fleet` does, and UsageError where there is none."""
    found = find_fleet(args)
    if found is None:
        where = f"{args.files[0]} has no [fleet]" if args.files else "the daemon is in none"
        raise UsageError(f"no fleet: {where}; give -c FILE with [fleet], or {_BY_ENVIRONMENT}")
    return found


def _explicit(args: argparse.Namespace) -> FleetAddress | None:
    name: str | None = None if args.fleet == FOUND else args.fleet
    if args.redis is None and name is None:
        return None
    if args.redis is None:
        assert name is not None
        url = os.environ.get(URL_VARIABLE)
        if not url:
            raise UsageError(f"--fleet {name} needs --redis URL; or {_BY_ENVIRONMENT}")
        return _checked(name, url, "--fleet", URL_VARIABLE)
    if name is None:
        raise UsageError("--redis needs --fleet NAME: fleets that share one Redis are told apart by it")
    found = _checked(name, args.redis, "--fleet", "--redis")
    from fleetd.config.redis_url import parse  # noqa: PLC0415 - for fleets only

    if parse(found.url).holds_password:
        raise UsageError(f"--redis: a password on the command line shows in ps; {_BY_ENVIRONMENT} instead")
    return found


def _of_files(args: argparse.Namespace) -> FleetAddress | None:
    """What the files say; a daemon that runs can be asked even where they are wrong by now."""
    from fleetd.cli.configuration import UnreadableError, fleet_of_files  # noqa: PLC0415 - all of the configuration

    try:
        found = fleet_of_files(args.files)
    except UnreadableError as unreadable:
        try:
            return _of_daemon(args)
        except NotFoundError:
            raise unreadable from None
    return FleetAddress(found["name"], found["redis"]) if found else None


def _of_environment() -> FleetAddress | None:
    url, name = os.environ.get(URL_VARIABLE), os.environ.get(NAME_VARIABLE)
    if not url and not name:
        return None
    if not url or not name:
        there, missing = (URL_VARIABLE, NAME_VARIABLE) if url else (NAME_VARIABLE, URL_VARIABLE)
        raise UsageError(f"{there} is set alone: set {missing} too, or none")
    return _checked(name, url, NAME_VARIABLE, URL_VARIABLE)


def _of_daemon(args: argparse.Namespace) -> FleetAddress | None:
    try:
        answer: dict[str, Any] = daemon(args).call("fleet")
    except NotFoundError as error:
        raise NotFoundError(f"{error}; for a fleet from elsewhere, {_BY_ENVIRONMENT}") from None
    except UsageError as error:
        if "knows no verb" in str(error):  # of a version that was in no fleet
            return None
        raise
    if answer.get("name") is None:
        return None
    if not answer.get("url"):
        raise FleetdError(f"the daemon does not say where its fleet meets: {_BY_ENVIRONMENT}")
    return FleetAddress(answer["name"], answer["url"])


def _checked(name: str, url: str, name_from: str, url_from: str) -> FleetAddress:
    from fleetd.config.keys import FLEET  # noqa: PLC0415 - as above
    from fleetd.config.kinds import Matching  # noqa: PLC0415
    from fleetd.config.problems import Unfit  # noqa: PLC0415

    kinds = {key.name: key.kind for key in FLEET.keys}
    for value, key, origin in ((name, "name", name_from), (url, "redis", url_from)):
        kind = kinds[key]
        assert isinstance(kind, Matching)
        try:
            kind.check(value)
        except Unfit as unfit:
            raise UsageError(f"{origin}: {unfit.message}; {unfit.remedy}") from None
    return FleetAddress(name, url)
