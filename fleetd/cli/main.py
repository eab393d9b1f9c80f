"""The entry point: finds the command, runs it, and turns its failures into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType

import fleetd
from fleetd import garbage
from fleetd.cli.commands import COMMANDS, Command, command_of, parser_of
from fleetd.cli.later import not_yet
from fleetd.cli.output import OutputError, lost, open_streams
from fleetd.errors import ExitCode, FleetdError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    garbage.leave_until_imported()
    words = list(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    if not os.environ.get("FLEETD_DEBUG"):
        sys.excepthook = _report_defect
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OutputError as error:
        return lost(_called(words), error)
    except BrokenPipeError:  # the reader of our errors has gone
        return ExitCode.FAILED
    return code


def _run(words: list[str]) -> int:
    try:
        match words:
            case [] | ["--help" | "-h" | "help", *_]:
                print(_help())
            case ["--version", *_]:
                print(f"fleetd {fleetd.__version__}")
            case [name, *rest] if command := command_of(name):
                return _command(command, name, rest)
            case _:
                name = words[0]
                raise UsageError(f"unknown {_kind(name)} {name!r}{_meant(name)}; see `fleetd --help`")
    except FleetdError as error:
        for line in str(error).splitlines():
            print(f"{_called(words)}: {line}", file=sys.stderr)
        return error.exit_code
    return ExitCode.DONE


def _called(words: list[str]) -> str:
    return f"fleetd {words[0]}" if words and command_of(words[0]) else "fleetd"


def _command(command: Command, name: str, rest: list[str]) -> int:
    if command.module is None and not {"-h", "--help"} & set(rest[:1]):
        raise not_yet()
    parser = parser_of(name)
    try:
        parsed = parser.parse_intermixed_args(rest) if command.module else parser.parse_args(rest)
    except SystemExit:  # argparse printed the help
        return ExitCode.DONE
    code: int = command.load().run(parsed)
    return code


def _help() -> str:
    width = max(len(name) for name in COMMANDS)
    now = [f"  {name:{width}}  {each.summary}" for name, each in COMMANDS.items() if each.module]
    later = ", ".join(name for name, each in COMMANDS.items() if not each.module)
    return "\n".join(
        [
            "usage: fleetd COMMAND …        fleetd COMMAND --help        fleetd --version",
            "",
            "Supervises fleets of queue workers.",
            "",
            *now,
            "",
            f"Not yet in this version: {later}.",
            "",
            "Example:",
            "  fleetd start -c media.toml --detach && fleetd status",
        ]
    )


def _kind(word: str) -> str:
    return "option" if word.startswith("-") else "command"


def _meant(word: str) -> str:
    from fleetd.config.suggestions import nearest  # noqa: PLC0415 - only a mistyped call needs it

    meant = nearest(word, COMMANDS)
    return f", did you mean {meant!r}?" if meant else ""


def _report_defect(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    print(
        f"fleetd: internal error: {kind.__name__}: {error}, please report it (FLEETD_DEBUG=1 shows where)".replace(
            "\n", " "
        ),
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
