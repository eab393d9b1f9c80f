"""The daemon's own log, on standard error: text for people, or JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from fleetd.core.spec import DaemonLogFormat

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


def configure(level: str, log_format: DaemonLogFormat) -> None:
    """Send everything at `level` and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format is DaemonLogFormat.JSON else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(_QUIET)
    logging.raiseExceptions = False  # standard error may be gone
