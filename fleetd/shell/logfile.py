"""A worker's log file: written by one daemon at a time, shared by the runs of one slot, rotated by size."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from fleetd.shell.log_directory import entered, make_directory, open_log
from fleetd.shell.pipes import CHUNK, Peephole
from fleetd.shell.predecessors import Predecessors

FILE_MODE = 0o640
LONGEST_END = 64 * 1024  # bytes of a raw line that a full file takes on, rather than cutting it
LOOK_BACK = 1024 * 1024  # bytes at the end of a file in which a torn line and the one before it are looked for
LOOK_EVERY = 1.0  # seconds, while it is written, between two looks at whether the file was moved away

# Not O_APPEND: splice(2) refuses to write into such a file.
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class LogFile:
    """One log file and its rotated predecessors `PATH.1` (the youngest) to `PATH.keep`.

    It is opened by the first write.  Every method that writes raises OSError when the log cannot be written, and may be
    called again: it opens the file anew where that failed before.  It notices by itself when the file was moved away
    or removed (within a second), or emptied in place, and goes on in the right place.  `max_size` (bytes, 0: never
    rotated) and `keep` may be changed at any time; with `keep` 0 a full file is emptied.  `on_rotated` is called with
    the predecessors when there is one more.  `is_torn` tells, of the last whole line (b"": there is none) and what
    stands behind it when the file is opened, whether that is a piece that will be written again: it is cut off then.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_size: int,
        keep: int,
        owner: tuple[int, int] | None = None,
        on_rotated: Callable[[Predecessors], None] | None = None,
    ) -> None:
        self.path = path
        self.max_size = max_size
        self.keep = keep
        self.on_rotated = on_rotated
        self.is_torn: Callable[[bytes, bytes], bool] | None = None
        self.predecessors = Predecessors(path)
        self.scanned = 0  # up to here the lines of some run were looked at for reports
        self._owner = owner
        self._fd = -1
        self._size = 0
        self._look_at = 0.0  # monotonic time of the next look at the path

    @property
    def size(self) -> int:
        """The end of the file, which is where the next byte goes."""
        if self._fd < 0:
            with suppress(OSError):
                return self.path.stat().st_size
            return 0
        return self._size

    def open(self) -> None:
        """Open the file, or create it, and go to its end.  An open file is left as it is."""
        if self._fd < 0:
            self._fd = self._opened()
            self._size = os.lseek(self._fd, 0, os.SEEK_END)
            self._look_at = time.monotonic() + LOOK_EVERY
            if self.is_torn is not None and not self._ends_with_a_line():
                self._cut_torn(self.is_torn)

    def append(self, lines: bytes) -> None:
        """Write whole lines, all or nothing: what a full disk let through of them is taken back."""
        self._go_to_end()
        if self.max_size and self._size and self._size + len(lines) > self.max_size:
            self._rotate()
        if not self._ends_with_a_line():
            lines = b"\n" + lines  # the format was raw before, or others have written to it
        done = 0
        try:
            while done < len(lines):
                done += os.write(self._fd, lines[done:] if done else lines)
        except OSError:
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += done

    def move_from(self, pipe: int, peephole: Peephole, limit: int) -> int:
        """Move at most `limit` bytes from the pipe into the file by splice(2), and return how many.

        A byte is in the pipe or in the file, never in both or neither, whenever this process is killed.  0 means that
        the pipe has no writer left.  Raises BlockingIOError when the pipe is empty.
        """
        self._go_to_end()
        limit = min(limit, CHUNK)
        if self.max_size and self._size >= self.max_size:
            limit = self._to_the_end_of_a_line(pipe, peephole, limit)
        count = os.splice(pipe, self._fd, limit, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
        self._size += count
        return count

    def read(self, start: int, length: int) -> bytes:
        """At most `length` bytes of the open file from `start`, read back."""
        return os.pread(self._fd, length, start)

    def read_from(self, offset: int) -> Iterator[bytes]:
        """All that follows `offset`, in chunks.

        An offset beyond the end was taken before the last rotation: what then follows it is in the file before, and all
        of this one.
        """
        self.open()
        if offset > self._size:
            yield from self.predecessors.read(1, offset)
            offset = 0
        while chunk := os.pread(self._fd, CHUNK, offset):
            offset += len(chunk)
            yield chunk

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _opened(self) -> int:
        make_directory(self.path.parent)
        with entered(self.path.parent) as directory:
            return open_log(self.path.name, directory, self._owner, FILE_MODE, _FLAGS)

    def _go_to_end(self) -> None:
        """Be at the end of the file that is at the path, whatever others have done to it meanwhile."""
        if self._fd >= 0 and time.monotonic() >= self._look_at:
            self._look()
        if self._fd < 0:
            self.open()
        elif (end := os.lseek(self._fd, 0, os.SEEK_END)) != self._size:
            self._size = end
            self.scanned = min(self.scanned, end)

    def _look(self) -> None:
        """Let go of a file that was removed, and of one that was moved when there can be another in its place."""
        self._look_at = time.monotonic() + LOOK_EVERY
        found = os.fstat(self._fd)
        if not found.st_nlink:
            self.close()
            self.scanned = 0
        elif not self._is_at_its_path(found):
            self._begin_anew()

    def _is_at_its_path(self, found: os.stat_result) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), found)
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _ends_with_a_line(self) -> bool:
        return self._size == 0 or os.pread(self._fd, 1, self._size - 1) == b"\n"

    def _to_the_end_of_a_line(self, pipe: int, peephole: Peephole, limit: int) -> int:
        """How much may be moved now that it is full: what still belongs to its last line; else all, into a new file."""
        if not self._ends_with_a_line():
            seen = peephole.look(pipe, limit)
            if end := seen.find(b"\n") + 1:
                return end
            if (room := self.max_size + LONGEST_END - self._size) > 0:  # the rest of it may not be written yet
                return max(1, min(room, len(seen)))
        self._rotate()
        return limit

    def _cut_torn(self, is_torn: Callable[[bytes, bytes], bool]) -> None:
        """Take back the piece of a line that a daemon had written when it was killed: its pipe still has all of it."""
        start = max(0, self._size - LOOK_BACK)
        lines, _, rest = os.pread(self._fd, self._size - start, start).rpartition(b"\n")
        if start and b"\n" not in lines:
            return  # longer than any lines of a format
        if is_torn(lines.rpartition(b"\n")[2], rest):
            with suppress(OSError):
                os.ftruncate(self._fd, self._size - len(rest))
                self._size = os.lseek(self._fd, 0, os.SEEK_END)
                self.scanned = min(self.scanned, self._size)

    def _rotate(self) -> None:
        """Begin an empty file.  When that fails the old one is gone on with: no output is lost for it."""
        if self.keep <= 0:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._size = self.scanned = 0
            return
        try:
            if self.path.exists():  # else an earlier try came as far as this
                self.predecessors.shift(self.keep)
        except OSError:
            return
        self._begin_anew()
        if self.on_rotated is not None:
            self.on_rotated(self.predecessors)

    def _begin_anew(self) -> None:
        """Go on in the file that is at the path now; where it cannot be opened, in the one in hand."""
        old = self._fd
        with suppress(OSError):
            self._fd = -1
            self.open()
            self.scanned = 0
        if self._fd < 0:
            self._fd = old
        elif old >= 0:
            os.close(old)
