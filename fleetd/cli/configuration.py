"""Reading pool files on this host: what the configuration, which touches nothing itself, is given for it."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fleetd.config.accepted import Accepted
from fleetd.config.files import gather
from fleetd.config.keys import DAEMON, FLEET
from fleetd.config.lint import contradictions, unsafe_files
from fleetd.config.load import Loaded, load
from fleetd.config.problems import Severity
from fleetd.config.reader import Reader
from fleetd.errors import UsageError
from fleetd.frameworks.framework import Shipped


class Host:
    """The files, the environment and the user of this process."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment."""
        return os.environ

    def read(self, path: str) -> str:
        """The text of a file; raises OSError, or UnicodeDecodeError if it is not UTF-8."""
        return Path(path).read_text(encoding="utf-8")

    def glob(self, pattern: str) -> Sequence[str]:
        """The existing paths that a pattern (or a plain path) names, sorted."""
        return sorted(glob.glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern

    def same(self, path: str) -> str:
        """One spelling for all paths to the same file."""
        return os.path.realpath(path)

    @property
    def is_root(self) -> bool:
        """Whether a daemon would run as root."""
        return os.geteuid() == 0

    def absolute(self, path: str) -> str:
        """The path from the root, symlinks resolved."""
        return os.path.realpath(path)

    def ownership(self, path: str) -> tuple[int, int, int]:
        """Owner, group and mode bits of a path; raises OSError."""
        found = Path(path).stat()
        return found.st_uid, found.st_gid, found.st_mode


def load_files(files: Sequence[Path], instance: str) -> Loaded:
    """What the pool files say now."""
    return load([str(file) for file in files], Host(), Shipped(), instance=instance)


def accepted(files: Sequence[Path], instance: str) -> Accepted:
    """What the pool files say, if a daemon may run it.

    Raises UsageError with everything that is wrong, one a line: what cannot be read, what this version does not do yet,
    and files that somebody else could change to command a daemon of root.
    """
    loaded = load_files(files, instance)
    host = Host()
    unsafe = unsafe_files(loaded.files, host) if host.is_root and not loaded.problems else ()
    wrong = [
        *loaded.problems,
        *loaded.refused,
        *(finding.problem for finding in unsafe if finding.severity is Severity.ERROR),
    ]
    if wrong:
        raise UsageError("\n".join(str(each) for each in wrong))
    assert loaded.spec is not None
    return Accepted(loaded.spec, tuple(str(each) for each in (*loaded.not_yet, *contradictions(loaded, host), *unsafe)))


def runtime_directory_of(files: Sequence[Path]) -> Path | None:
    """[daemon] runtime-directory, None where the files do not say so.

    They may be wrong or gone: a daemon that runs can be commanded all the same.
    """
    reader = Reader(os.environ)
    document = gather(tuple(str(file) for file in files), Host(), reader)
    table = document.single.get("daemon")
    values = {} if table is None else reader.read(DAEMON.tidied(table, reader), DAEMON) or {}
    directory = values.get("runtime-directory")
    return None if directory is None else Path(directory.value).absolute()


class UnreadableError(UsageError):
    """Some pool file cannot be read to its end: what it says is not known."""


def fleet_of_files(files: Sequence[Path]) -> dict[str, Any]:
    """[fleet] of the files by key, empty where they have none.

    Raises UsageError for a [fleet] that is wrong, UnreadableError where what was read has none.
    """
    reading, reader = Reader(os.environ), Reader(os.environ)
    document = gather(tuple(str(file) for file in files), Host(), reading)
    table = document.single.get("fleet")
    if table is None and not document.complete:
        raise UnreadableError("\n".join(str(each) for each in reading.problems))
    if table is None:
        return {}
    values: dict[str, Any] = reader.read(FLEET.tidied(table, reader), FLEET) or {}
    if reader.problems:
        raise UsageError("\n".join(str(each) for each in reader.problems))
    return values
