"""Why a process could not be started, for the daemon to put into words."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Generator
from typing import Any


class StartError(Exception):
    """A process could not be started: at which stage, on what, and why (an errno or a few words)."""

    def __init__(self, stage: str, reason: int | str, what: str = "", line: int | None = None) -> None:
        super().__init__(stage, reason, what, line)
        self.report: dict[str, Any] = {"stage": stage, "what": what, "line": line}
        self.report["errno" if isinstance(reason, int) else "problem"] = reason


@contextlib.contextmanager
def stage(name: str, what: str = "") -> Generator[None, None, None]:
    """Turn the system's refusal inside the block into a StartError of this stage."""
    try:
        yield
    except OSError as error:
        raise StartError(name, error.errno or errno.EIO, what) from error
    except ValueError as error:  # a NUL byte, or a name with "="
        raise StartError(name, errno.EINVAL, what) from error
