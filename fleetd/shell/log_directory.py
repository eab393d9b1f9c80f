"""The directory of an instance's logs, entered so that nobody can lead a daemon of root elsewhere."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = 0o022


def directory_mode() -> int:
    """The mode of a new directory of logs.

    As root, users may pass through it to the logs of their own pools, whose names they know, and not list it.
    """
    return 0o751 if os.geteuid() == 0 else 0o750


@contextmanager
def entered(directory: Path) -> Generator[int]:
    """A descriptor of the directory, for the `dir_fd` of system calls: what is done with it happens there only.

    Raises OSError when it is not there, or is a link; and as root when another user owns it or may write to it.
    """
    fd = os.open(directory, _FLAGS)
    try:
        if os.geteuid() == 0:
            found = os.fstat(fd)
            if found.st_uid != 0 or found.st_mode & _OTHERS_WRITE:
                raise PermissionError(errno.EPERM, f"{directory} can be changed by others than root")
        yield fd
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Make the directory and those above it that are missing."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir()
        path.chmod(directory_mode())  # whatever the umask


def is_file(name: str, directory: int) -> bool:
    """Whether there is something of this name in the directory; a link counts, wherever it leads."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def open_log(name: str, directory: int, owner: tuple[int, int] | None, mode: int, flags: int) -> int:
    """Open a plain file in the directory, or make it with this mode, for its owner (uid and gid; None: this user).

    A file that is there already keeps its owner and mode.  Raises OSError; for a link, for what is no plain file, and
    as root for a file that has another name besides: it may be anybody's.
    """
    try:
        fd = os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        fd = os.open(name, flags | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory)
        if owner is not None:
            os.fchown(fd, *owner)
        return fd
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", name)
    if found.st_nlink > 1 and os.geteuid() == 0:
        os.close(fd)
        raise OSError(errno.EMLINK, "has another name besides (a hard link)", name)
    return fd
