"""Reading workers' log files: their last lines, and what is added to them, over rotation.

A file's predecessors are PATH.1 (the youngest), PATH.2 and so on, or compressed PATH.1.gz and so on.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from gzip import GzipFile

_BLOCK = 64 * 1024
_LONGEST_LINE = 64 * 1024  # bytes; a longer one is shown in pieces
_STAMP = len("2026-11-23T21:14:05.123+00:00")
_JSON_BEGINS = '{"at": "'


class Line(NamedTuple):
    """One line of a log; `stamp` is the ISO time that it begins with, or the last one before it, else empty.

    A line of a log in JSON reads as one with a prefix does: time, worker, line.
    """

    stamp: str
    text: str


def last_lines(path: Path, wanted: int, end: int | None = None) -> list[Line]:
    """The last `wanted` lines of the log up to the offset `end` of the file in use.  Raises PermissionError."""
    found: list[bytes] = []
    for file in _with_predecessors(path):
        with file:
            found = _end_of(file, wanted - len(found), end) + found
        end = None
        if len(found) >= wanted:
            break
    return list(_stamped(iter(found)))


def lines_since(path: Path, since: float, end: int | None = None) -> Iterator[Line]:
    """The lines that were written at `since` (Unix seconds) or later, up to `end`.  Raises PermissionError."""
    files: list[_File] = []
    for file in _with_predecessors(path):
        files.append(file)
        if file.found.st_mtime < since:
            break
    for file in reversed(files):
        with file:
            lines = _lines_of(file, end if file is files[0] else None)
            yield from (line for line in _stamped(lines) if _is_since(line.stamp, since))


class Following:
    """One log, followed from the offset at which it was found; the log may not exist yet."""

    def __init__(self, path: Path, *, from_start: bool = False) -> None:
        self._path = path
        self._file = _opened(path)
        self._rest = b""
        self.found_at = 0
        if self._file is not None and not from_start:
            self.found_at = self._file.end()

    def new_lines(self) -> Iterator[str]:
        """What was written since the last call, as whole lines.  Raises PermissionError."""
        while True:
            if self._file is not None:
                yield from self._read(self._file)
            following = self._next()
            if following is None:
                return
            if self._file is not None:
                yield from self._read(self._file)  # what came between the read and the rotation
                self._file.close()
            self._file = following

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _read(self, file: _File) -> Iterator[str]:
        file.begin_again_if_emptied()
        while chunk := file.data.read(_BLOCK):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > _LONGEST_LINE:
                lines.append(self._rest)
                self._rest = b""
            yield from map(_readable, lines)

    def _next(self) -> _File | None:
        """The file that follows the one in hand, None while that is the newest."""
        newer: _File | None = None
        for file in _with_predecessors(self._path):
            if self._file is not None and file.holds_the_same_as(self._file):
                file.close()
                return newer
            if newer is not None:
                newer.close()
            newer = file
            if self._file is None:
                break
        return newer


class Changes:
    """Waits until something is written in directories: the kernel sends SIGIO then (fcntl(2), F_NOTIFY).

    To be entered in the main thread: the signal is held back until it is left, and waited for instead.
    """

    def __init__(self) -> None:
        self._watched: dict[Path, int] = {}

    def __enter__(self) -> Self:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._watched.values():
            os.close(descriptor)
        while signal.sigtimedwait({signal.SIGIO}, 0):
            pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})

    def watch(self, directory: Path) -> None:
        """Also wake up for this one; where it cannot be watched, `wait` ends by its time only."""
        if directory in self._watched:
            return
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        self._watched[directory] = descriptor
        changes = fcntl.DN_MODIFY | fcntl.DN_CREATE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
        try:
            fcntl.fcntl(descriptor, fcntl.F_NOTIFY, changes)
        except OSError:
            os.close(self._watched.pop(directory))

    def wait(self, at_most: float) -> None:
        """Return when something changed, at the latest after `at_most` seconds."""
        signal.sigtimedwait({signal.SIGIO}, at_most)


class _File:
    """One file of a log, opened for reading."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError, PermissionError."""
        self._packed: IO[bytes] = path.open("rb")
        self.found = os.fstat(self._packed.fileno())
        self.data: IO[bytes] | GzipFile = self._packed
        self.is_compressed = path.suffix == ".gz"
        if self.is_compressed:
            import gzip  # noqa: PLC0415 - most logs need none

            self.data = gzip.GzipFile(fileobj=self._packed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self.data.close()
        self._packed.close()

    def end(self) -> int:
        """Go to its end; answers where that is."""
        return self.data.seek(0, os.SEEK_END)

    def begin_again_if_emptied(self) -> None:
        """Go to its beginning if it was emptied in place."""
        if not self.is_compressed and os.fstat(self._packed.fileno()).st_size < self.data.tell():
            self.data.seek(0)

    def holds_the_same_as(self, other: _File) -> bool:
        """Whether both are one file, or one is what became of the other when it was compressed: that keeps the time."""
        if self.is_compressed == other.is_compressed:
            return os.path.samestat(self.found, other.found)
        mine, its = (os.fstat(each._packed.fileno()).st_mtime_ns for each in (self, other))  # noqa: SLF001
        return mine == its


def _opened(path: Path) -> _File | None:
    try:
        return _File(path)
    except FileNotFoundError:
        return None


def _with_predecessors(path: Path) -> Iterator[_File]:
    """The log's files, youngest first."""
    newest = _opened(path)
    if newest is not None:
        yield newest
    for number in count(1):
        plain = path.with_name(f"{path.name}.{number}")
        file = _opened(plain) or _opened(plain.with_name(f"{plain.name}.gz")) or _opened(plain)
        if file is None:
            return
        yield file


def _end_of(file: _File, wanted: int, end: int | None) -> list[bytes]:
    """The last lines before `end`, read backwards where that is possible."""
    if wanted <= 0:
        return []
    if file.is_compressed:
        return list(deque(_lines_of(file, None), wanted))
    start = file.end() if end is None else end
    held = b""
    while start > 0 and held.count(b"\n") <= wanted and len(held) <= (wanted + 1) * _LONGEST_LINE:
        step = min(_BLOCK, start)
        start = file.data.seek(start - step)
        held = file.data.read(step) + held
    return held.splitlines()[-wanted:]


def _lines_of(file: _File, end: int | None) -> Iterator[bytes]:
    try:
        while line := file.data.readline(_LONGEST_LINE):
            if end is not None and file.data.tell() > end:
                return
            yield line.rstrip(b"\n")
    except EOFError:
        return  # a compressed file that is damaged ends there


def _stamped(lines: Iterator[bytes]) -> Iterator[Line]:
    stamp = ""
    for line in lines:
        text = _readable(line)
        if _time_of(text[:_STAMP]) is not None:
            stamp = text[:_STAMP]
        yield Line(stamp, text)


def _readable(line: bytes) -> str:
    """The text of a line; one that fleetd wrote as JSON looks as others do."""
    text = line.decode(errors="replace")
    if not text.startswith(_JSON_BEGINS):
        return text
    try:
        values: dict[str, Any] = json.loads(text)
        return f"{values['at']} {values['worker']} {values['line']}"
    except (ValueError, KeyError):
        return text


def _is_since(stamp: str, since: float) -> bool:
    written = _time_of(stamp)
    return written is not None and written >= since


def _time_of(stamp: str) -> float | None:
    if len(stamp) != _STAMP or not stamp[:4].isdecimal():
        return None
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None
