"""The port at which output leaves a run: a sink takes it, or says that it cannot, and never waits.

Two kinds.  A `ByteSink` moves bytes out of a pipe as they are.  A `LineSink` is shown whole lines that are still in the
pipe; they are taken out only after it has said that it has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from fleetd.shell.formats import Format, decoded
from fleetd.shell.logfile import LogFile
from fleetd.shell.pipes import Peephole

LONGEST_REST = 4096  # bytes that are looked at for the end of a line; what a worker can write in one piece


class _Sink(Protocol):
    """What both kinds have."""

    @property
    def name(self) -> str:
        """What people call it, in messages."""
        ...

    @property
    def path(self) -> Path | None:
        """Its file, None when it has none of its own."""
        ...

    def unseen(self, offset: int | None) -> Iterator[bytes]:
        """What was written after `offset` and not looked at, as the workers wrote it; nothing where None was read.

        Raises OSError when it cannot be read.
        """
        ...

    def mark(self, begun: int) -> int:
        """All of it was looked at but the last `begun` bytes, of an unfinished line: the `offset` to go on from."""
        ...

    def close(self) -> None:
        """Let go of its file until it is used again."""
        ...


class ByteSink(_Sink, Protocol):
    """Takes bytes as they are."""

    by_line: Literal[False]

    def move(self, pipe: int, peephole: Peephole, limit: int) -> bytes:
        """Take at most `limit` bytes out of the pipe and return them; b"" when it has no writer left.

        Raises BlockingIOError when the pipe is empty, OSError when they cannot be written and are still there.
        """
        ...


class LineSink(_Sink, Protocol):
    """Takes whole lines."""

    by_line: Literal[True]

    @property
    def is_ready(self) -> bool:
        """Whether there is sense in writing now."""
        ...

    def write(self, run: str, lines: bytes) -> int:
        """Write lines of a run, the last of which may lack its end; return how many bytes of them need not come again.

        0: none yet, try again when it is ready.  Raises OSError when they cannot be written.
        """
        ...


Sink = ByteSink | LineSink


class Unrecorded:
    """A sink that cannot be read again: what part of it was looked at is known to nobody later."""

    path: Path | None = None

    def unseen(self, offset: int | None) -> Iterator[bytes]:  # noqa: ARG002 - see `_Sink`
        """See `_Sink`."""
        return iter(())

    def mark(self, begun: int) -> int:  # noqa: ARG002 - see `_Sink`
        """See `_Sink`."""
        return 0

    def close(self) -> None:
        """See `_Sink`."""


class Nowhere(Unrecorded):
    """Output that nobody keeps."""

    by_line: Literal[False] = False
    name = "nowhere"

    def move(self, pipe: int, peephole: Peephole, limit: int) -> bytes:  # noqa: ARG002 - see `ByteSink`
        """See `ByteSink`."""
        return os.read(pipe, limit)


class _InFile:
    """A log file in one of the formats."""

    def __init__(self, log: LogFile, form: Format) -> None:
        self._log = log
        self._form = form
        self.name = str(log.path)
        self.path: Path | None = log.path

    def unseen(self, offset: int | None) -> Iterator[bytes]:
        """See `_Sink`."""
        log = self._log
        if offset is not None and offset != log.size:  # else there is nothing, and the first output will open it
            log.open()
            # Where another run of the slot was first, all is looked at already, whatever has been rotated since.
            yield from decoded(self._form, log.read_from(log.scanned or offset))

    def mark(self, begun: int) -> int:
        """See `_Sink`.  Where whole lines are written there is no beginning of one in the file."""
        self._log.scanned = self._log.size
        return self._log.size if self._form.by_line else max(0, self._log.size - begun)

    def close(self) -> None:
        """See `_Sink`."""
        self._log.close()


class RawFile(_InFile):
    """Bytes, moved by the kernel."""

    by_line: Literal[False] = False

    def move(self, pipe: int, peephole: Peephole, limit: int) -> bytes:
        """See `ByteSink`."""
        count = self._log.move_from(pipe, peephole, limit)
        chunk = self._log.read(self._log.size - count, count)
        return chunk if count < limit or chunk.endswith(b"\n") else chunk + self._rest_of_line(pipe, peephole)

    def _rest_of_line(self, pipe: int, peephole: Peephole) -> bytes:
        """Move the end of a line that a limit cut, if it is there: another run's output may be next in the log."""
        try:
            rest = peephole.look(pipe, LONGEST_REST).find(b"\n") + 1
            count = self._log.move_from(pipe, peephole, rest) if rest else 0
        except OSError:  # there is nothing yet, or the disk is full now: the next call tells
            return b""
        return self._log.read(self._log.size - count, count)


class LineFile(_InFile):
    """Lines in a format of their own."""

    by_line: Literal[True] = True
    is_ready = True

    def write(self, run: str, lines: bytes) -> int:  # noqa: ARG002 - see `LineSink`
        """See `LineSink`."""
        self._log.append(self._form.encode(lines))
        return len(lines)
