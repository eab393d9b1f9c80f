"""A worker's log file: written by one daemon at a time, shared by the runs of one slot, rotated by size."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fleetd.shell.pipes import CHUNK, Peephole

DIRECTORY_MODE = 0o750
FILE_MODE = 0o640

# Not O_APPEND: splice(2) refuses to write into such a file.
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class LogFile:
    """One log file and its rotated predecessors `PATH.1` (the youngest) to `PATH.keep`.

    It is opened by the first write.  Every method that writes raises OSError when the log cannot be written, and may be
    called again: it opens the file anew where that failed before.  `max_size` (bytes, 0: never rotated) and `keep` may
    be changed at any time; with `keep` 0 a full file is emptied.
    """

    def __init__(self, path: Path, *, max_size: int, keep: int, owner: tuple[int, int] | None = None) -> None:
        self.path = path
        self.max_size = max_size
        self.keep = keep
        self.scanned = 0  # up to here the lines of some run were looked at for reports
        self._owner = owner
        self._fd = -1
        self._size = 0

    @property
    def size(self) -> int:
        """The end of the file, which is where the next byte goes."""
        return self._size

    def open(self) -> None:
        """Open the file, or create it, and go to its end.  An open file is left as it is."""
        if self._fd >= 0:
            return
        make_directory(self.path.parent)
        fd = self._open_or_create()
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", str(self.path))
        self._size = os.lseek(fd, 0, os.SEEK_END)
        self._fd = fd

    def append(self, lines: bytes) -> None:
        """Write whole lines, all or nothing: what a full disk let through of them is taken back."""
        self.open()
        if self.max_size and self._size and self._size + len(lines) > self.max_size:
            self._rotate()
        if not self._ends_with_a_line():
            lines = b"\n" + lines  # a daemon was killed inside a write, or the format was raw before
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
        self.open()
        limit = min(limit, CHUNK)
        if self.max_size and self._size >= self.max_size:
            rest = 0 if self._ends_with_a_line() else peephole.look(pipe, limit).find(b"\n") + 1
            if rest:
                limit = rest
            else:
                self._rotate()
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
            yield from self._end_of_previous(offset)
            offset = 0
        while chunk := os.pread(self._fd, CHUNK, offset):
            offset += len(chunk)
            yield chunk

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_or_create(self) -> int:
        try:
            return os.open(self.path, _FLAGS)
        except FileNotFoundError:
            fd = os.open(self.path, _FLAGS | os.O_CREAT | os.O_EXCL, FILE_MODE)
        if self._owner is not None:
            os.fchown(fd, *self._owner)
        return fd

    def _ends_with_a_line(self) -> bool:
        return self._size == 0 or os.pread(self._fd, 1, self._size - 1) == b"\n"

    def _rotate(self) -> None:
        """Begin an empty file.  When that fails the old one is gone on with: no output is lost for it."""
        if self.keep <= 0:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._size = self.scanned = 0
            return
        full = self._fd
        with suppress(OSError):
            if self.path.exists():  # else an earlier try came as far as this
                self._shift()
            self._fd = -1
            self.open()
            self.scanned = 0
        if self._fd < 0:
            self._fd = full
        elif self._fd != full:
            os.close(full)

    def _shift(self) -> None:
        surplus = self.keep
        while self._numbered(surplus).exists():
            self._numbered(surplus).unlink()
            surplus += 1
        for number in range(self.keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._numbered(number).rename(self._numbered(number + 1))
        self.path.rename(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _end_of_previous(self, offset: int) -> Iterator[bytes]:
        with suppress(FileNotFoundError), self._numbered(1).open("rb") as previous:
            previous.seek(offset)
            while chunk := previous.read(CHUNK):
                yield chunk


def make_directory(path: Path) -> None:
    """Make the directory and those above it that are missing, for their owner and his group only."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=DIRECTORY_MODE)
