"""The daemon's own log, on standard error: text for people, or JSON lines."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from fleetd.core.spec import DaemonLogFormat
from fleetd.shell.log_directory import entered, open_log
from fleetd.shell.logfile import FILE_MODE, LOOK_EVERY
from fleetd.shell.outlet import Outlet
from fleetd.shell.predecessors import Predecessors

LARGEST = 50 * 1024 * 1024  # bytes of a detached daemon's log
KEPT = 10  # files of that size that are kept beside it

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
# Select Graphic Rendition (ECMA-48, 8.3.117).
_OF_LEVEL = {logging.DEBUG: "2", logging.INFO: "32", logging.WARNING: "33", logging.ERROR: "31"}
_OF_WORKERS = ("36", "35", "34", "96", "95", "94")
_QUIET = logging.CRITICAL  # third parties speak only through exceptions


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")
        text = f"{at} {record.levelname.lower():7} {record.getMessage()}"
        return text if record.exc_info is None else f"{text}\n{self.formatException(record.exc_info)}"


class _Terminal(logging.Formatter):
    """For someone who looks on: the time of day, the level in its colour, each worker's name in one of its own."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        level = self._in(_OF_LEVEL.get(record.levelno, ""), f"{record.levelname.lower():7}")
        text = f"{self._in('2', f'{at:%H:%M:%S}')} {level} {self._named(record)}"
        return text if record.exc_info is None else f"{text}\n{self.formatException(record.exc_info)}"

    def _named(self, record: logging.LogRecord) -> str:
        text, fields = record.getMessage(), getattr(record, "fields", {})
        name = fields.get("worker") or fields.get("pool")
        if not isinstance(name, str) or not text.startswith(f"{name}:"):
            return text
        return self._in(_OF_WORKERS[crc32(name.encode(errors="replace")) % len(_OF_WORKERS)], name) + text[len(name) :]

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._coloured else text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"at": record.created, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info is not None:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class DetachedLog:
    """The file that standard output and error of a detached daemon lead to; PATH.1 to PATH.KEPT are older ones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._look_at = 0.0  # monotonic time of the next look at the path

    def keep_up(self) -> None:
        """Begin a new file where this one is full, or was moved away; to be called before something is written."""
        found = os.fstat(2)
        if found.st_size >= LARGEST:
            self._rotate(found)
        elif time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY
            if not self._is_at_its_path(found):
                self.reopen()

    def reopen(self) -> None:
        """Go on in the file that is at the path now; where it cannot be opened, in the one in hand."""
        try:
            with entered(self._path.parent) as directory:
                file = open_log(self._path.name, directory, None, FILE_MODE, _FLAGS)
        except OSError:
            return
        for stream in (1, 2):
            os.dup2(file, stream)
        os.close(file)

    def _rotate(self, found: os.stat_result) -> None:
        try:
            if self._is_at_its_path(found):
                Predecessors(self._path).shift(KEPT)
        except OSError:
            return  # a larger log is better than none
        self.reopen()

    def _is_at_its_path(self, found: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._path.lstat(), found)
        except OSError:
            return False


class _Handler(logging.Handler):
    """Writes records to standard error without ever waiting; says later how many could not be written."""

    def __init__(self, outlet: Outlet, before: Callable[[], None]) -> None:
        super().__init__()
        self._outlet = outlet
        self._before = before
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._before()
            lines = self._notice() + self.format(record).encode(errors="replace") + b"\n"
            written = self._outlet.write(lines) == len(lines)
        except OSError:
            written = False
        self._lost = 0 if written else self._lost + 1

    def _notice(self) -> bytes:
        if not self._lost:
            return b""
        text = f"{self._lost} messages before this one are lost: this log could not be written"
        return self.format(logging.LogRecord("fleetd", logging.WARNING, "", 0, text, None, None)).encode() + b"\n"


def configure(
    level: str, log_format: DaemonLogFormat, outlet: Outlet, before: Callable[[], None] = lambda: None
) -> None:
    """Send everything at `level` and above to the outlet; `before` is called before each message.

    A terminal gets lines for people who look on, in colour unless NO_COLOR or TERM=dumb forbid it.
    """
    handler = _Handler(outlet, before)
    handler.setFormatter(_formatter(log_format, is_terminal=os.isatty(outlet.fd)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(_QUIET)
    logging.raiseExceptions = False  # a message that cannot be put into words is not worth the daemon


def _formatter(log_format: DaemonLogFormat, *, is_terminal: bool) -> logging.Formatter:
    if log_format is DaemonLogFormat.JSON:
        return _Json()
    if not is_terminal:
        return _Text()
    return _Terminal(coloured=not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")
