"""RQ settings (`rq worker --config`): writing a line that has WORD in it takes until the file `gate` is there.

What comes to the worker meanwhile comes while it writes its log, as otherwise only by chance.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO

WORD = "transcode('slow-1'"


class Output:
    """The standard output."""

    def __init__(self) -> None:
        self.to: IO[str] = sys.stdout

    def write(self, text: str) -> None:
        """A line, as logging's handlers write it."""
        self.to.write(text)
        if WORD in text and "Successfully" not in text:
            self.to.flush()
            while not Path(os.environ["GATE"]).exists():
                time.sleep(0.01)

    def flush(self) -> None:
        """What was written leaves the process."""
        self.to.flush()


DICT_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"rq": {"format": "%(asctime)s %(message)s", "datefmt": "%H:%M:%S"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "rq", "stream": Output()}},
    "loggers": {name: {"handlers": ["out"], "level": "INFO", "propagate": False} for name in ("rq.worker", "rq.job")},
}
