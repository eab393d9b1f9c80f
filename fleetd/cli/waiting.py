"""Waiting for the daemon's work: a progress bar on a terminal, a plain line for each change elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fleetd.cli.output import OutputError
from fleetd.cli.parser import Parser
from fleetd.client.control import ControlClient, Progress
from fleetd.views.control_characters import made_visible


def add_waiting(parser: Parser) -> None:
    """--no-wait and --timeout D."""
    parser.add_argument("--no-wait", action="store_true", help="return as soon as a daemon has accepted it")
    add_timeout(parser)


def add_timeout(parser: Parser) -> None:
    """--timeout D"""
    parser.add_argument(
        "--timeout",
        metavar="D",
        type=duration,
        help="wait at most so long (90s, 15m), then exit 5; the work itself goes on",
    )


def duration(text: str) -> float:
    """Seconds, for argparse: 90, 90s, 15m, 1h30m."""
    from fleetd.config.durations import LONGEST, parse_duration  # noqa: PLC0415 - faster without --timeout

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error} (write 90s, 15m, 1h30m)") from None
    if seconds > LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than ten years")
    return seconds


def carry_out(
    client: ControlClient,
    verb: str,
    verb_args: Mapping[str, Any],
    *,
    title: str,
    quiet: bool = False,
    timeout: float | None = None,
) -> Any:
    """The daemon's answer to `verb`; meanwhile its progress is shown under `title`, and its warnings are.

    `quiet` shows neither.  Raises as `ControlClient.order`.
    """

    def warn(warnings: Sequence[str]) -> None:
        for warning in () if quiet else warnings:
            print(f"fleetd {title}: {made_visible(warning)}", file=sys.stderr)

    with going_on(f"fleetd {title}"), shown(title, quiet=quiet) as progress:
        return client.order(verb, verb_args, progress, timeout, warn)


@contextmanager
def going_on(command: str, whereabouts: Callable[[], str] = lambda: "the work itself goes on") -> Generator[None]:
    """Have it said what becomes of the work when the command ends before it: by Ctrl-C, or for want of an output."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"{command}: interrupted; {whereabouts()}", file=sys.stderr)
        raise
    except OutputError as error:
        error.add_note(whereabouts())
        raise


@contextmanager
def shown(title: str, *, quiet: bool) -> Generator[Progress]:
    """What shows progress; `quiet` shows none."""
    if quiet or sys.stdout.isatty():
        with on_terminal(title, quiet=quiet) as progress:
            yield progress
    else:
        yield _line


@contextmanager
def on_terminal(title: str, *, quiet: bool = False, forks: bool = False) -> Generator[Progress]:
    """What shows progress on a terminal, and nothing elsewhere; what is printed meanwhile stands above it.

    `forks`: the work forks this process, so no thread draws beside it.
    """
    if quiet or not sys.stdout.isatty():
        yield _nothing
    else:
        with _bar(title, forks=forks) as progress:
            yield progress


def print_json(document: Any) -> None:
    """One JSON document on one line."""
    print(json.dumps(document))


def _nothing(done: int, total: int, text: str) -> None:
    """Show nothing."""


def _line(done: int, total: int, text: str) -> None:
    if total:
        print(f"{done}/{total} {made_visible(text)}", flush=True)


@contextmanager
def _bar(title: str, *, forks: bool) -> Generator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeElapsedColumn  # noqa: I001, PLC0415

    # markup=False: what workers are called or said must not be read as styles.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    said = TextColumn("{task.fields[text]}", markup=False)
    with Bar(*columns, said, transient=True, auto_refresh=not forks) as bar:
        task = bar.add_task(title, total=None, text="")

        def progress(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, text=made_visible(text), refresh=forks)

        yield progress
