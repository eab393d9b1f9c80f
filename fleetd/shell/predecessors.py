"""The files that a log was before: PATH.1, the youngest, to PATH.N, each as it was or compressed as PATH.N.gz.

Names change on the event loop only.  A number may have both files for a moment, or after a kill: they hold the same,
and the uncompressed one counts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    import gzip

from fleetd.shell.log_directory import entered, is_file
from fleetd.shell.pipes import CHUNK

COMPRESSED = ".gz"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Compressing(NamedTuple):
    """A file on its way to its compressed form: descriptors of both, and what `source` is known by."""

    source: int
    target: int
    found: os.stat_result


class Predecessors:
    """Those of one log, in the directory of the log.  All methods may raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def shift(self, keep: int) -> None:
        """Make room for `PATH.1`, move the log there, and remove what is above `keep` then."""
        with entered(self.path.parent) as directory:
            for surplus in count(keep):
                if not self._remove(surplus, directory):
                    break
            for number in reversed(range(1, min(keep, self._first_free(directory)))):
                for ending in ("", COMPRESSED):
                    self._rename(self._name(number) + ending, self._name(number + 1) + ending, directory)
            os.rename(self.path.name, self._name(1), src_dir_fd=directory, dst_dir_fd=directory)

    def read(self, number: int, offset: int) -> Iterator[bytes]:
        """What follows `offset` in one of them, decompressed, in chunks; nothing when it is not there."""
        import zlib  # noqa: PLC0415 - seldom needed

        with ExitStack() as stack:
            try:
                file = self._open(number, stack)
            except FileNotFoundError:
                return
            with suppress(EOFError, zlib.error):  # a damaged file ends where it is damaged
                file.seek(offset)
                while chunk := file.read(CHUNK):
                    yield chunk

    def begin_compression(self) -> Compressing | None:
        """Open the youngest that is not compressed, and the file that shall take its place; None: all are.

        That file belongs to the same user and has the same mode.
        """
        with suppress(FileNotFoundError), entered(self.path.parent) as directory:
            for source in self._uncompressed(directory):
                found = os.fstat(source)
                if stat.S_ISREG(found.st_mode):
                    try:
                        return Compressing(source, self._make_new(found, directory), found)
                    except OSError:
                        os.close(source)
                        raise
                os.close(source)
        return None

    def end_compression(self, work: Compressing, *, succeeded: bool) -> None:
        """Put the compressed file in the place of the other one, whichever number that has now."""
        with entered(self.path.parent) as directory:
            number = self._number_of(work.found, directory) if succeeded else None
            if number is None:
                os.unlink(self._new, dir_fd=directory)
                return
            os.rename(self._new, self._name(number) + COMPRESSED, src_dir_fd=directory, dst_dir_fd=directory)
            os.unlink(self._name(number), dir_fd=directory)

    def _open(self, number: int, stack: ExitStack) -> BinaryIO | gzip.GzipFile:
        with entered(self.path.parent) as directory:
            try:
                return stack.enter_context(os.fdopen(os.open(self._name(number), _READ, dir_fd=directory), "rb"))
            except FileNotFoundError:
                fd = os.open(self._name(number) + COMPRESSED, _READ, dir_fd=directory)
        import gzip  # noqa: PLC0415 - seldom needed

        packed = stack.enter_context(os.fdopen(fd, "rb"))
        return stack.enter_context(gzip.GzipFile(fileobj=packed))

    @property
    def _new(self) -> str:
        return f"{self.path.name}{COMPRESSED}.new"

    def _name(self, number: int) -> str:
        return f"{self.path.name}.{number}"

    def _first_free(self, directory: int) -> int:
        return next(n for n in count(1) if not any(is_file(self._name(n) + end, directory) for end in ("", COMPRESSED)))

    def _remove(self, number: int, directory: int) -> bool:
        removed = False
        for ending in ("", COMPRESSED):
            with suppress(FileNotFoundError):
                os.unlink(self._name(number) + ending, dir_fd=directory)
                removed = True
        return removed

    @staticmethod
    def _rename(old: str, new: str, directory: int) -> None:
        with suppress(FileNotFoundError):
            os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)

    def _uncompressed(self, directory: int) -> Iterator[int]:
        for number in range(1, self._first_free(directory)):
            with suppress(FileNotFoundError):
                yield os.open(self._name(number), _READ, dir_fd=directory)

    def _make_new(self, like: os.stat_result, directory: int) -> int:
        with suppress(FileNotFoundError):
            os.unlink(self._new, dir_fd=directory)  # a daemon was killed at it
        new = os.open(self._new, _NEW, 0o600, dir_fd=directory)
        if os.geteuid() == 0:
            os.fchown(new, like.st_uid, like.st_gid)
        os.fchmod(new, stat.S_IMODE(like.st_mode))
        return new

    def _number_of(self, file: os.stat_result, directory: int) -> int | None:
        for number in range(1, self._first_free(directory)):
            with suppress(FileNotFoundError):
                found = os.stat(self._name(number), dir_fd=directory, follow_symlinks=False)
                if os.path.samestat(found, file):
                    return number
        return None
