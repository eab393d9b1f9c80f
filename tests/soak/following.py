"""Reading logs as they grow, past the points where they are rotated, each byte once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

FARTHEST = 10_000  # far above what is ever kept


class Follower:
    """One log and the files that it was before: none is missed, whatever is renamed while it looks.

    A rotation only ever moves a file to a higher number, and the older of two files has the higher one.  So who opens
    the names from the lowest upwards meets every file, the youngest first, some of them twice; and what is open stays
    the same file whatever its name becomes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: _File | None = None  # the youngest that was read: held open, so that no other gets its inode
        self._carried = b""  # of a line whose end stands in the next file

    def lines(self) -> Iterator[bytes]:
        """The whole lines that came since the last call, oldest first."""
        newer = self._newer()  # first: what these follow has its last byte by now
        if self._last is not None:
            yield from self._new_lines(self._last)
        for file in newer:
            if self._last is not None:
                self._carried += self._last.unfinished
            self._last = file
            yield from self._new_lines(file)

    @property
    def unfinished(self) -> bytes:
        """What stands behind the last line."""
        return self._carried + (self._last.unfinished if self._last is not None else b"")

    def _newer(self) -> list[_File]:
        """Those that are younger than the last one that was read, oldest first."""
        found: dict[int, _File] = {}  # by inode
        for number in count():
            try:
                file = _File(self._name(number))
            except FileNotFoundError:
                if self._is_any_at(number):
                    continue  # a file is about to come here, or the one that should do it was killed
                break
            if self._last is not None and file.inode == self._last.inode:
                break
            found.setdefault(file.inode, file)
        return list(found.values())[::-1]

    def _is_any_at(self, number: int) -> bool:
        """Whether there is anything to be met at this number or a higher one."""
        if self._last is not None and self._last.has_a_name:
            assert number < FARTHEST, f"{self._path} was moved out of its row"
            return True
        names = [path.name for _ in range(2) for path in self._path.parent.iterdir()]  # the highest may move meanwhile
        ends = (name.removeprefix(f"{self._path.name}.") for name in names if name.startswith(f"{self._path.name}."))
        return any(end.isdecimal() and int(end) >= number for end in ends)

    def _name(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _new_lines(self, file: _File) -> Iterator[bytes]:
        whole, newline, file.unfinished = file.read().rpartition(b"\n")
        if newline:
            file.offset += len(whole) + 1
            whole, self._carried = self._carried + whole, b""
            yield from whole.split(b"\n")


class _File:
    """One file, open for as long as this is kept."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino
        self.offset = 0  # of what follows the last whole line that was read: a torn one may be taken back
        self.unfinished = b""

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    @property
    def has_a_name(self) -> bool:
        return os.fstat(self._fd).st_nlink > 0

    def read(self) -> bytes:
        """From the offset to what is the end now."""
        return os.pread(self._fd, max(0, os.fstat(self._fd).st_size - self.offset), self.offset)
