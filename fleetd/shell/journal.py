"""The journal of runs: what a daemon that is started again has to know of the workers that still live.

JSON lines, appended without a wait for the disk: it has to outlive the daemon, not the machine, and a boot id tells
records of an earlier boot.  What is told last counts.  Each line begins with its CRC-32, so that one that was damaged
is known.
"""

from __future__ import annotations

import errno
import os
import time
from binascii import crc32
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from fleetd.core.records import NOTHING, Counters, RunRecord, Tally
from fleetd.errors import FleetdError
from fleetd.shell.documents import decode, encode

VERSION = 2
SPARE_LINES = 1000  # lines that are over before the file is written anew
KEPT_OVER = 2000  # runs: as many as may end in one turn
TRY_EVERY = 1.0  # seconds between attempts to write to a full disk


class Entry(Struct, frozen=True, omit_defaults=True):
    """A run's record, up to where its numbered messages were taken, and what its process is known by."""

    record: RunRecord
    seen: Mapping[str, int] = field(default_factory=dict)  # the last number taken, by sender (`fleetd.shell.notify`)
    uid: int | None = None  # of its user, None: the daemon's own
    gid: int | None = None
    started: int | None = None  # its main process, in clock ticks since boot
    pipe: int | None = None  # the inode of its output pipe


class News(Struct, frozen=True, omit_defaults=True):
    """What became known between two moments at which nothing is half decided.

    One line, as it belongs together: a run's record, the jobs of its pool, and up to where its log was scanned.
    """

    entries: tuple[Entry, ...] = ()
    over: tuple[str, ...] = ()  # runs
    counters: Mapping[str, Counters] = field(default_factory=dict)  # by pool: those that changed
    scanned: Mapping[str, int] = field(default_factory=dict)  # bytes of its log, by worker
    counted: Mapping[str, Tally] = field(default_factory=dict)  # instead of `counters`, in what earlier versions wrote


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of the file, which tells one of these.  Fields that this version does not know are left out."""

    boot: str | None = None
    version: int = 1
    news: News | None = None
    intent: Entry | None = None  # of a run that is about to be started
    ending: tuple[str, str] | None = None  # a run that is about to be asked to end, and why


class Journal:
    """Append-only, and written anew when most of it is over."""

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path = path
        self._boot_id = boot_id
        self._entries: dict[str, Entry] = {}
        self._counted: dict[str, Counters] = {}
        self._scanned: dict[str, int] = {}
        self._over: deque[str] = deque(maxlen=KEPT_OVER)
        self.damage: str | None = None  # why what an earlier daemon wrote could not be read
        self._spent = 0
        self._fd: int | None = None
        self._is_closed = False
        self._failure: OSError | None = None  # the file lacks something since this
        self._try_at = 0.0  # monotonic time of the next attempt to write it anew

    def open(self) -> Mapping[str, Entry]:
        """Read what an earlier daemon of this boot left, and go on from there.

        A last line that was cut off by a crash loses no other.  What cannot be read is told by `damage`, and the file
        is kept beside the new one.  One that cannot be written is tried again with what is to be written next.
        """
        lines, damage = _read(self._path, self._boot_id)
        for line in lines:
            self._take(line)
        if damage is not None:
            aside = self._path.with_suffix(".damaged")
            with suppress(OSError):
                self._path.replace(aside)
            self.damage = f"{self._path}: {damage} (kept as {aside.name})"
        with suppress(OSError):
            self._rewrite()
        return dict(self._entries)

    @property
    def counted(self) -> Mapping[str, Counters]:
        """What the jobs of each pool add up to, as far as runs of this boot told."""
        return dict(self._counted)

    @property
    def over(self) -> tuple[str, ...]:
        """The last runs that are over: a keeper may not have been told yet to forget them."""
        return tuple(self._over)

    def scanned(self, worker: str) -> int | None:
        """Up to where the worker's log was scanned for these."""
        return self._scanned.get(worker)

    def write(self, news: News) -> None:
        """Note where runs stand, at a moment at which nothing is half decided.  Raises OSError."""
        self._append(Line(news=news), len(news.entries) + len(news.over) + 1)

    def intend(self, entry: Entry, scanned: int) -> None:
        """A run is about to be started, in a slot whose log was scanned so far if it is the first.  Raises OSError."""
        record = entry.record
        if (worker := f"{record.pool}:{record.slot}") not in self._scanned:
            self._append(Line(news=News(scanned={worker: scanned})))
        self._append(Line(intent=entry))

    def end(self, run: str, reason: str) -> None:
        """A run is about to be asked to end: it may be gone before anything else can be written.  Raises OSError."""
        self._append(Line(ending=(run, reason)))

    def renew(self) -> None:
        """Write a file that was removed anew.  Raises OSError."""
        if not self._path.exists():
            self._rewrite()

    def close(self) -> None:
        """Close the file; it stays for the next daemon."""
        self._is_closed = True
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _take(self, line: Line) -> None:
        if line.news is not None:
            earlier = {pool: Counters(tally) for pool, tally in line.news.counted.items()}
            for pool, counters in (earlier | dict(line.news.counters)).items():
                self._counted[pool] = self._counted.get(pool, NOTHING).followed_by(counters)
            self._scanned.update(line.news.scanned)
            self._over.extend(line.news.over)
            for run in line.news.over:
                self._entries.pop(run, None)
            for entry in line.news.entries:
                self._entries[entry.record.run] = entry
        elif line.intent is not None:
            self._entries[line.intent.record.run] = line.intent
        elif line.ending is not None and line.ending[0] in self._entries:
            run, reason = line.ending
            entry = self._entries[run]
            self._entries[run] = replace(entry, record=replace(entry.record, ending=reason))

    def _append(self, line: Line, weight: int = 1) -> None:
        """Write a line; what a full disk took of it, or of one before, is put right by writing the file anew."""
        if self._is_closed:
            return
        self._take(line)
        self._spent += weight
        if self._failure is not None or self._fd is None or self._spent > SPARE_LINES + 10 * len(self._entries):
            self._rewrite()
            return
        data = _framed(line)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._failure = error
            raise
        if written < len(data):
            self._failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise self._failure

    def _rewrite(self) -> None:
        if self._failure is not None and time.monotonic() < self._try_at:
            raise self._failure
        all_of_it = News(tuple(self._entries.values()), tuple(self._over), self._counted, self._scanned)
        lines = (Line(boot=self._boot_id, version=VERSION), Line(news=all_of_it))
        new = self._path.with_suffix(".new")
        try:
            fd = _written(new, b"".join(map(_framed, lines)))
            new.replace(self._path)
        except OSError as error:
            self._failure, self._try_at = error, time.monotonic() + TRY_EVERY
            new.unlink(missing_ok=True)
            raise
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._failure, self._spent = fd, None, 0


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _written(path: Path, data: bytes) -> int:
    """A descriptor of a new file that holds the data, to be appended to."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        os.close(fd)
        raise
    return fd


def _framed(line: Line) -> bytes:
    text = encode(line)
    return b"%08x %s\n" % (crc32(text), text)


def _unframed(text: bytes) -> Line:
    """The line of a framed text.  Raises ValueError."""
    check, _, text = text.partition(b" ")
    if check != b"%08x" % crc32(text):
        raise ValueError
    return decode(text, Line)


def _read(path: Path, boot: str) -> tuple[list[Line], str | None]:
    """The lines of a journal of this boot, and what is wrong with it.

    What was being written when a crash came, at the end, is left out.  Of one that is damaged, the sound lines; of one
    whose beginning is, or which a newer version wrote, none.
    """
    try:
        *texts, _cut_off = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], None
    except OSError as error:
        return [], error.strerror or str(error)
    lines: list[Line] = []
    damage = None
    for number, text in enumerate(texts, start=1):
        try:
            lines.append(_unframed(text))
        except ValueError:
            damage = damage or f"line {number} of {len(texts)} is damaged"
            if number == 1:
                return [], damage
    if lines and lines[0].version > VERSION:
        return [], _is_newer(lines[0])
    if lines and lines[0].boot != boot:
        return [], None
    return lines, damage


def check(path: Path) -> None:
    """Read a journal that another version may have written, and touch nothing.

    One that is damaged is read as far as `open` would; raises FleetdError for one that cannot be read, that a newer
    version wrote, or whose lines this version does not understand.
    """
    try:
        *texts, _cut_off = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise FleetdError(f"{path}: cannot be read: {error.strerror}") from error
    for number, text in enumerate(texts, start=1):
        try:
            line = _unframed(text)
        except msgspec.ValidationError as error:
            raise FleetdError(f"{path}: line {number} is not understood by this version: {error}") from error
        except ValueError:
            continue  # damaged
        if line.version > VERSION:
            raise FleetdError(f"{path}: {_is_newer(line)}")


def _is_newer(line: Line) -> str:
    return f"written by a newer fleetd (format {line.version}, this one knows {VERSION})"
