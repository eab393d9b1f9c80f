"""`fleetd systemd`: the unit of an instance; and what that unit calls itself."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import fleetd
from fleetd.cli.configuration import Host, accepted
from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser
from fleetd.cli.unit_environment import missing_in_unit
from fleetd.cli.waiting import on_terminal
from fleetd.config.lint import unsafe_files
from fleetd.config.problems import Severity
from fleetd.core.spec import FleetSpec
from fleetd.errors import ExitCode, FleetdError, UsageError
from fleetd.shell import paths
from fleetd.systemd.access import protect_home, protect_system
from fleetd.systemd.after_stop import Cgroup, after_stop
from fleetd.systemd.installing import Place, install, place_of, uninstall
from fleetd.systemd.shipped import UNIT, shipped
from fleetd.systemd.systemctl import Systemctl
from fleetd.systemd.unit import Wanted, environment_file, render, unit_name

_AFTER_STOP = "after-stop"
_LINGERING = Path("/var/lib/systemd/linger")


class _Actions(tuple[str, ...]):
    """What a person may ask for; what only a unit does is taken, and shown nowhere."""

    __slots__ = ()

    def __contains__(self, word: object) -> bool:
        return word == _AFTER_STOP or super().__contains__(word)


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument(
        "action",
        metavar="install|uninstall|show",
        choices=_Actions(("install", "uninstall", "show")),
        help="write the unit and have it started at boot; drain, stop and remove it; print it",
    )
    parser.add_argument("--user", action="store_true", help="for your own manager (systemctl --user), without root")
    parser.add_argument("--now", action="store_true", help="with install: start it, and wait until it is ready")
    parser.add_argument("--force", action="store_true", help="also where the unit was changed by hand")
    add_daemon(parser)


def run(args: argparse.Namespace) -> int:
    """Install, remove or print the unit."""
    if not args.files and not (args.instance and args.action == "uninstall"):
        raise UsageError("give -c FILE: the unit is that of its instance")
    if args.action == _AFTER_STOP:
        return _after_stop(args)
    unit = unit_name(paths.instance_name(args.files, args.instance))
    if args.action == "show":
        print(_text(args), end="")
        return ExitCode.DONE
    place = _place(args)
    if args.action == "uninstall":
        with on_terminal(f"systemd uninstall {unit}"):
            uninstall(place, unit, _tell, lambda: _is_supervised(args), force=args.force)
        return ExitCode.DONE
    text = _text(args)
    if not args.user:
        _check_environment_file(args)
    for warning in (*missing_in_unit(args.files, Systemctl(for_user=args.user)), *_who_else_commands(args)):
        print(f"fleetd systemd: warning: {warning}", file=sys.stderr)
    if args.now:
        _check_that_none_runs(args, place, unit)
    with on_terminal(f"systemd install {unit}", quiet=not args.now):
        install(place, unit, text, _tell, force=args.force, now=args.now)
    if args.user:
        _hint_at_lingering()
    return ExitCode.DONE


def _tell(line: str) -> None:
    print(line, flush=True)


def _place(args: argparse.Namespace) -> Place:
    if not args.user and os.geteuid() != 0:
        raise FleetdError(
            "only root may write units of the system: run it with sudo, or give --user for your own manager"
        )
    return place_of(for_user=args.user)


def _check_that_none_runs(args: argparse.Namespace, place: Place, unit: str) -> None:
    """Raise FleetdError for a daemon of the instance that is none of the unit: its own could not start."""
    place.systemctl.check()
    if not place.systemctl.answers("is-active", "--quiet", unit) and _is_supervised(args):
        name = paths.instance_name(args.files, args.instance)
        raise FleetdError(
            f"a daemon of instance {name!r}, started by hand, runs already: `fleetd stop --instance {name}` first, "
            "or leave out --now"
        )


def _is_supervised(args: argparse.Namespace) -> bool:
    """Whether some daemon answers for the instance."""
    with suppress(FleetdError):  # also where the files cannot be read
        daemon(args, own=args.user)
        return True
    return False


# -- the text ------------------------------------------------------------------------------------------------------


def _text(args: argparse.Namespace) -> str:
    """The unit of these files.  Raises UsageError with every problem of the files."""
    instance = paths.instance_name(args.files, args.instance)
    spec = accepted(args.files, instance).spec
    program = _program()
    interpreter = os.path.realpath(sys.executable)
    read = (*program[:1], interpreter, sys.prefix, sys.base_prefix, str(Path(fleetd.__file__).parent), *spec.files)
    wanted = Wanted(
        instance=instance,
        program=program,
        files=tuple(os.path.abspath(file) for file in args.files),  # noqa: PTH100 - links are followed at every start
        spec=spec,
        home=protect_home(spec, _homes(spec), read, os.path.realpath),
        system=protect_system(spec, os.path.realpath),
        is_named=args.instance is not None and args.instance != args.files[0].stem,
        for_user=args.user,
    )
    return render(shipped(UNIT), wanted)


def _program() -> tuple[str, ...]:
    """What runs this command: the script that was called, else the interpreter with the module."""
    script = os.path.abspath(sys.argv[0])  # noqa: PTH100 - an upgrade may lead its links elsewhere
    if Path(script).name == "fleetd" and os.access(script, os.X_OK) and Path(script).is_file():
        return (script,)
    return (os.path.abspath(sys.executable), "-m", "fleetd.cli.main")  # noqa: PTH100 - a link leads into a venv


def _homes(spec: FleetSpec) -> Mapping[str, str]:
    """The home directories of the pools' users; those that are not there, or are numbers, have none."""
    homes: dict[str, str] = {}
    for user in {pool.launch.user for pool in spec.pools.values()} - {None}:
        assert user is not None
        try:
            homes[user] = (pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)).pw_dir
        except KeyError:
            continue
    return homes


def _check_environment_file(args: argparse.Namespace) -> None:
    """Raise UsageError for variables of a root daemon (PATH, LD_PRELOAD …) that another user can change."""
    beside = environment_file(os.path.abspath(args.files[0]))  # noqa: PTH100 - as in the unit
    if os.path.lexists(beside):
        try:
            findings = unsafe_files((beside,), Host())
        except OSError as error:
            raise UsageError(f"{beside} cannot be read: {error.strerror}; mend it, or remove it") from None
        wrong = [str(each.problem) for each in findings if each.severity is Severity.ERROR]
        if wrong:
            raise UsageError("\n".join(wrong))


# -- hints ---------------------------------------------------------------------------------------------------------


def _who_else_commands(args: argparse.Namespace) -> Iterator[str]:
    """Who beside root can change what a unit of the system runs as root: such as the owner of a virtual environment."""
    if not args.user:
        script, interpreter = _program()[0], os.path.realpath(sys.executable)
        beside = environment_file(os.path.abspath(args.files[0]))  # noqa: PTH100 - as in the unit
        files = (script, interpreter, str(Path(fleetd.__file__)), *([beside] if Path(beside).exists() else ()))
        for finding in unsafe_files(files, Host()):
            yield str(finding.problem)


def _hint_at_lingering() -> None:
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # no account: systemd has no manager for it that could linger
        return
    if not (_LINGERING / user).exists():
        _tell(f"it runs while you are logged in; to have it run always: loginctl enable-linger {user}")


# -- what the unit calls -------------------------------------------------------------------------------------------


def _after_stop(args: argparse.Namespace) -> int:
    cgroup = Cgroup.own()
    if cgroup is None or "SERVICE_RESULT" not in os.environ:
        raise UsageError("after-stop is for the ExecStopPost= of a unit alone: it kills what is left in the unit")
    done = after_stop(cgroup, Systemctl(for_user=args.user), os.environ, lambda: _is_supervised(args))
    if done is not None:
        _tell(done)
    return ExitCode.DONE
