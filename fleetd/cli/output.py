"""Standard output, and how a command ends whose output nobody takes: a full disk, a reader that has gone."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from fleetd.errors import ExitCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(Exception):
    """Standard output took no more; the cause says why, and notes say what goes on all the same."""


class _Output(io.FileIO):
    """Tells its own failures from all others, also from what any library does about an OSError."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputError from error


def open_streams() -> None:
    """Have standard output raise OutputError, and open what the caller had closed.

    Otherwise a socket would get the number, and with it what is printed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            os.set_inheritable(descriptor, True)  # noqa: FBT003
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    found = sys.stdout or os.fdopen(1, "w", closefd=False)
    if isinstance(found, io.TextIOWrapper) and found.fileno() == 1:
        found.flush()
        taken = io.BufferedWriter(_Output(1, "w", closefd=False))
        found = io.TextIOWrapper(taken, found.encoding, found.errors, line_buffering=found.line_buffering)
    sys.stdout = found


def lost(called: str, error: OutputError) -> ExitCode:
    """Say so in one line, but not that a reader has gone where nothing goes on."""
    # What is still buffered would fail again when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cause, notes = error.__cause__, getattr(error, "__notes__", [])
    if notes or not isinstance(cause, BrokenPipeError):
        why = cause.strerror if isinstance(cause, OSError) else str(cause)
        print(f"{called}: {'; '.join([f'the output could not be written: {why}', *notes])}", file=sys.stderr)
    return ExitCode.FAILED
