"""Why a process could not be started, for the daemon to put into words."""

from __future__ import annotations

import contextlib
import errno
import json
import os
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
        raise StartError(name, error.errno or str(error), what) from error
    except ValueError as error:  # a NUL byte, or a name with "="
        raise StartError(name, errno.EINVAL, what) from error


LONGEST_PATH = 4096  # bytes, PATH_MAX
LONGEST_TEXT = 500
LARGEST_ERRNO = 4095  # MAX_ERRNO of the kernel


def answer_of(line: bytes) -> dict[str, Any]:
    """What a forked child tells on its way: `directory`, or what failed (as `StartError.report`).

    One forked from a template runs the application's code before: it may tell anything, so only what is well formed is
    passed on.
    """
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        told = json.loads(line)
        if told.get("directory") is not None:
            return {"directory": _path(told["directory"])}
        number, at = told.get("errno"), told.get("line")
        answer: dict[str, Any] = {"stage": _text(told["stage"]), "what": _text(told.get("what", ""))}
        answer["line"] = at if isinstance(at, int) else None
        if isinstance(number, int) and 0 < number <= LARGEST_ERRNO:
            return answer | {"errno": number}
        return answer | {"problem": _text(told.get("problem", "unknown reason"))}
    return StartError("start", "the worker's process answered nonsense").report


def _path(told: str) -> str:
    if not told.startswith("/") or "\0" in told or len(os.fsencode(told)) > LONGEST_PATH:
        raise ValueError("no path")
    return told


def _text(told: str) -> str:
    return told[:LONGEST_TEXT].encode(errors="backslashreplace").decode()
