"""`fleetd logs`"""

from __future__ import annotations

import argparse
import heapq
import os
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleetd.cli.finding import add_daemon, daemon
from fleetd.cli.parser import Parser, add_targets
from fleetd.client.control import ControlClient
from fleetd.client.logs import Changes, Following, Line, last_lines, lines_since
from fleetd.config.durations import parse_duration
from fleetd.errors import ExitCode, UsageError
from fleetd.views.control_characters import made_visible

_DEFAULT_LINES = 100
_LONGEST_REST = 1.0  # seconds between two looks where the kernel does not tell of changes


def define(parser: Parser) -> None:
    """The arguments."""
    add_targets(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    parser.add_argument("-n", metavar="N", type=int, help="how many of the last lines of each worker (100)")
    parser.add_argument("--since", metavar="T", type=moment, help="only lines since then: 10m, 2h, or an ISO time")
    add_daemon(parser)


def moment(text: str) -> float:
    """Unix seconds of "10m" (ago) or an ISO 8601 time (local unless it says otherwise), for argparse."""
    try:
        return time.time() - parse_duration(text)
    except ValueError:
        return _iso(text)


def run(args: argparse.Namespace) -> int:
    """Print the last lines of workers, and with --follow what they write from now on."""
    client = daemon(args)
    workers = _workers(client, args.targets)
    if args.since is not None:
        _check_times(workers)
    following = {worker["name"]: Following(Path(worker["path"])) for worker in workers if _is_readable(worker)}
    for name, line in heapq.merge(
        *(_earlier(each, following, args) for each in workers), key=lambda pair: pair[1].stamp
    ):
        _show(name, line.text)
    if args.follow:
        sys.stdout.flush()
        if len(following) < len(workers):
            for item in client.stream("logs-follow", {"targets": args.targets}):
                _show(item["worker"], item["line"])
                sys.stdout.flush()
        else:
            with Changes() as changes:
                _follow(client, args.targets, workers, following, changes)
    return ExitCode.DONE


def _iso(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time (write 10m, 2h or 2026-11-23T21:00)") from None


def _workers(client: ControlClient, targets: list[str]) -> list[Mapping[str, Any]]:
    workers: list[Mapping[str, Any]] = client.ask("logs", {"targets": targets})["workers"]
    return workers


def _check_times(workers: Iterable[Mapping[str, Any]]) -> None:
    for worker in workers:
        if worker["path"] is None or worker["format"] == "raw":
            raise UsageError(
                f"--since needs the times in a log file of format prefix or json, and {worker['name']} has none"
            )


def _is_readable(worker: Mapping[str, Any]) -> bool:
    """Whether its log is a file that this user may read, or is not there yet."""
    path = worker["path"]
    return path is not None and (os.access(path, os.R_OK) or not os.path.lexists(path))


def _earlier(
    worker: Mapping[str, Any], following: Mapping[str, Following], args: argparse.Namespace
) -> list[tuple[str, Line]]:
    name, wanted = worker["name"], args.n
    if name not in following:
        kept = worker["lines"][-(_DEFAULT_LINES if wanted is None else wanted) :] if wanted != 0 else []
        return [(name, Line("", text)) for text in kept]
    path, end = Path(worker["path"]), following[name].found_at
    if args.since is None:
        lines = last_lines(path, _DEFAULT_LINES if wanted is None else wanted, end)
    else:
        lines = list(lines_since(path, args.since, end))
        lines = lines if wanted is None else lines[-wanted:] if wanted else []
    return [(name, line) for line in lines]


def _follow(
    client: ControlClient,
    targets: list[str],
    workers: list[Mapping[str, Any]],
    following: dict[str, Following],
    changes: Changes,
) -> None:
    directories = {Path(worker["path"]).parent for worker in workers}
    seen = _files_in(directories)
    while True:
        for directory in directories:
            changes.watch(directory)
        for name, log in following.items():
            for text in log.new_lines():
                _show(name, text)
        sys.stdout.flush()
        changes.wait(_LONGEST_REST)
        if (files := _files_in(directories)) - seen:  # perhaps of workers that are new
            seen |= files
            for worker in _workers(client, targets):
                if worker["name"] not in following and _is_readable(worker):
                    following[worker["name"]] = Following(Path(worker["path"]), from_start=True)


def _files_in(directories: Iterable[Path]) -> set[Path]:
    return {file for directory in directories if directory.is_dir() for file in directory.glob("*.log")}


def _show(name: str, text: str) -> None:
    """Print a line with the worker's name before it, unless the log's format has put it there."""
    has_name = text[_NAME_AT:].startswith(f"{name} ") and text[:4].isdecimal()
    print(made_visible(text if has_name else f"{name} {text}"))


_NAME_AT = len("2026-11-23T21:14:05.123+00:00 ")
