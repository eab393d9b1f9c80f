"""The daemon's own log, on standard error: text for people, or JSON lines."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from fleetd.core.spec import DaemonLogFormat

_log = logging.getLogger("fleetd")
_QUIET = logging.CRITICAL  # third parties speak only through exceptions


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")
        text = f"{at} {record.levelname.lower():7} {record.getMessage()}"
        return text if record.exc_info is None else f"{text}\n{self.formatException(record.exc_info)}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"at": record.created, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info is not None:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def reopen(path: Path) -> None:
    """Let standard output and error of a detached daemon go to the file that is at `path` now."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    except OSError as error:
        _log.error("%s cannot be opened: %s; the old file is written on", path, error.strerror)
        return
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def configure(level: str, log_format: DaemonLogFormat) -> None:
    """Send everything at `level` and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format is DaemonLogFormat.JSON else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(_QUIET)
    logging.raiseExceptions = False  # standard error may be gone
