"""Worker output to the daemon's own standard output, whatever that is: lines of many workers, none torn by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fleetd.shell.formats import Format
from fleetd.shell.outlet import Outlet
from fleetd.shell.patience import Patience
from fleetd.shell.sinks import Unrecorded

NAME = "standard output"


class StandardOutput:
    """What the sinks of all slots share.  A line that went in part is finished before any other.

    `on_change` is called when runs that were refused should try again, `before` before anything is written.
    """

    def __init__(self, outlet: Outlet, on_change: Callable[[], None], before: Callable[[], None]) -> None:
        self._outlet = outlet
        self._patience = Patience(NAME, on_change)
        self._before = before
        self._owed: dict[str, int] = {}  # by run: bytes that need not come again, as their last line is finished here

    @property
    def is_ready(self) -> bool:
        """Whether there is sense in writing now."""
        return not self._patience.is_waiting

    def write(self, run: str, lines: bytes, form: Format) -> int:
        """See `LineSink`."""
        self._before()
        try:
            taken = self._write(run, lines, form)
            if self._outlet.is_blocked:
                self._patience.refused(self._outlet.fd)
        except OSError:
            if run in self._owed:  # most of it was written, and the end of its last line will be, or is lost
                return self._owed.pop(run)
            raise
        return taken

    def close(self) -> None:
        """Let go of it; what was written stays."""
        self._patience.close()

    def _write(self, run: str, lines: bytes, form: Format) -> int:
        if not self._outlet.flush():
            return 0
        if run in self._owed:
            self._patience.taken()
            return self._owed.pop(run)
        encoded = form.encode(lines)
        went = self._outlet.write(encoded)
        if not went:
            return 0
        self._patience.taken()
        taken = len(lines) if went == len(encoded) else _end_of_line(lines, encoded.count(b"\n", 0, went))
        if self._outlet.is_blocked and self._outlet.is_inside_a_line:
            self._owed[run] = taken
            return 0
        return taken


class ToStandardOutput(Unrecorded):
    """One slot's share of it."""

    by_line: Literal[True] = True
    name = NAME

    def __init__(self, shared: StandardOutput, form: Format) -> None:
        self._shared = shared
        self._form = form

    @property
    def is_ready(self) -> bool:
        """See `LineSink`."""
        return self._shared.is_ready

    def write(self, run: str, lines: bytes) -> int:
        """See `LineSink`."""
        return self._shared.write(run, lines, self._form)


def _end_of_line(lines: bytes, number: int) -> int:
    """Where the line of this number ends, counted from 1."""
    end = 0
    for _ in range(number):
        end = lines.find(b"\n", end) + 1 or len(lines)
    return end
