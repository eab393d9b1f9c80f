"""Reading logs as they grow, past the points where they are rotated, each byte once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


class Follower:
    """One log and the files that it was before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[int, int] = {}  # by inode
        self._part = b""  # of a line whose end is not there yet, or stands in the next file

    def lines(self) -> Iterator[bytes]:
        """The whole lines that came since the last call, oldest first."""
        for file in self._files():
            yield from self._new_lines(file)

    @property
    def unfinished(self) -> bytes:
        """What stands behind the last line."""
        return self._part

    def _files(self) -> list[Path]:
        number = 1
        files = [self._path] if self._path.exists() else []
        while (older := self._path.with_name(f"{self._path.name}.{number}")).exists():
            if older.stat().st_ino in self._offsets and older.stat().st_size == self._offsets[older.stat().st_ino]:
                break  # it was read to its end, and so were those before it
            files.append(older)
            number += 1
        return files[::-1]

    def _new_lines(self, file: Path) -> Iterator[bytes]:
        with file.open("rb") as log:
            inode = os.fstat(log.fileno()).st_ino
            log.seek(self._offsets.get(inode, 0))
            data = self._part + log.read()
            self._offsets[inode] = log.tell()
        *whole, self._part = data.split(b"\n")
        yield from whole
