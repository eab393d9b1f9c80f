"""One run's output on its way: out of its pipe, into the log of its slot, past the eyes that look for job lines."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from fleetd.core.spec import LogFormat, LogSpec, LogTarget
from fleetd.shell.logfile import LogFile
from fleetd.shell.pipes import CHUNK, Peephole, enlarge, waiting
from fleetd.shell.tail import Follow, Following, Tail

LONGEST_HELD = 32 * 1024  # bytes; half of the smallest pipe, which is what it surely takes of odd-sized writes
SETTLED = 2.0  # seconds without a loss until a log counts as writable again: on a full disk a small chunk may fit
_STAMP = len("2026-11-23T21:14:05.123+00:00 ")

Report = TypeVar("Report")
Report_co = TypeVar("Report_co", covariant=True)


class Scanner(Protocol[Report_co]):
    """Looks for lines that mean something in the output of one run; keeps an unfinished line by itself."""

    def feed(self, chunk: bytes) -> Iterable[Report_co]:
        """What the lines that end in this chunk tell."""
        ...


@dataclass(slots=True)
class Audience(Generic[Report]):
    """Who is told of output."""

    on_reports: Callable[[str, Sequence[Report]], None]
    on_dropped: Callable[[str, int, str], None]
    followers: list[Follow] = field(default_factory=list)


class SlotLog:
    """Where the output of one slot goes, whichever run of it wrote it."""

    def __init__(
        self, worker: str, path: Path, spec: LogSpec, owner: tuple[int, int] | None, clock: Callable[[], float]
    ) -> None:
        self.worker = worker
        self.path = path
        self.earlier = Tail()  # of the runs that are over
        self.file: LogFile | None = None
        self.raw = False
        self._owner = owner
        self._clock = clock
        self._name = worker.encode() + b" "
        self.configure(spec)

    def configure(self, spec: LogSpec) -> None:
        """Take on other settings; what was written stays as it is."""
        self.raw = spec.format is LogFormat.RAW
        if spec.to is not LogTarget.FILES:
            self.close()
            self.file = None
        elif self.file is None:
            self.file = LogFile(self.path, max_size=spec.max_size, keep=spec.keep, owner=self._owner)
        else:
            self.file.max_size, self.file.keep = spec.max_size, spec.keep

    def prefixed(self, chunk: bytes) -> bytes:
        """Each line with the local time (ISO 8601, ms, offset to UTC) and the worker before it, the last one ended."""
        now = datetime.fromtimestamp(self._clock(), UTC).astimezone()
        prefix = now.isoformat(timespec="milliseconds").encode() + b" " + self._name
        body = chunk[:-1] if chunk.endswith(b"\n") else chunk
        return b"%b%b\n" % (prefix, body.replace(b"\n", b"\n" + prefix))

    def written_since(self, offset: int) -> Iterator[bytes]:
        """What the log holds after `offset`, as the workers wrote it; raises OSError when it cannot be read."""
        if self.file is None:
            return
        rest = b""
        for chunk in self.file.read_from(offset):
            if self.raw:
                yield chunk
                continue
            *lines, rest = (rest + chunk).split(b"\n")
            own = (line[_STAMP + len(self._name) :] for line in lines if line.startswith(self._name, _STAMP))
            yield b"".join(line + b"\n" for line in own)

    def close(self) -> None:
        """Let go of the file."""
        if self.file is not None:
            self.file.close()


class Stream(Generic[Report]):
    """The output of one run.  Owns the descriptor `pipe`, the read end of a pipe."""

    def __init__(
        self, run: str, pipe: int, log: SlotLog, scanner: Scanner[Report] | None, audience: Audience[Report]
    ) -> None:
        self.run = run
        self.pipe = pipe
        self.log = log
        self.tail = Tail()
        self.dropped = 0  # bytes
        self.held = 0  # bytes of an unfinished line that are left in the pipe
        self.hung_up = False  # nobody can write any more; what was written may still be there
        self.ended = False  # that is read, too
        self.offset = 0  # in the log: what is before it was scanned, and reported
        self.queued = False  # for reading: kept by Output
        self._large = False
        self._begun = 0  # bytes of a line that is not finished
        self._failing: float | None = None  # monotonic time of the last byte that was dropped, until that is over
        self._scanner = scanner
        self._audience = audience
        self._following: Following | None = None

    def begin(self, offset: int | None) -> None:
        """Open the log, and look through what was written to it after `offset` and not looked at before."""
        log = self.log.file
        if log is None:
            return
        reports: list[Report] = []
        try:
            log.open()
            if offset is not None:
                start = max(offset, log.scanned) if offset <= log.size else offset
                for chunk in self.log.written_since(start):
                    reports += self._look_at(chunk)
        except OSError:
            return  # the first output will tell
        self._mark(log)
        if reports:
            self._audience.on_reports(self.run, reports)

    def take(self, peephole: Peephole, limit: int = CHUNK, *, unfinished: bool = False) -> int:
        """Bring at most `limit` bytes where they belong and return how many left the pipe.

        0: it is empty, it has `ended`, or there is only the beginning of a line (`held`), which is taken all the same
        when `unfinished` is set, when nobody can finish it, and when it is too long to wait for.
        """
        try:
            if self.log.file is None:
                chunk = os.read(self.pipe, limit)
            elif self.log.raw:
                chunk = self._move(self.log.file, peephole, limit)
            else:
                chunk = self._copy_lines(self.log.file, peephole, limit, unfinished=unfinished)
        except BlockingIOError:
            return 0
        if chunk:
            self.held = 0
            self._tell(chunk)
        elif not self.held:
            self.ended = True
        return len(chunk)

    def enlarge(self) -> None:
        """The pipe was full: let it hold more, once, so that a wake-up brings more."""
        if not self._large:
            self._large = True
            enlarge(self.pipe)

    def drain(self, peephole: Peephole) -> None:
        """Take what is in the pipe at this moment, and no more, so that nobody who goes on writing can hold it up."""
        left = waiting(self.pipe)
        while left > 0 and (taken := self.take(peephole, min(left, CHUNK))):
            left -= taken
        if left > 0:
            self.take(peephole, left, unfinished=True)

    def _move(self, log: LogFile, peephole: Peephole, limit: int) -> bytes:
        try:
            count = log.move_from(self.pipe, peephole, limit)
        except BlockingIOError:
            raise
        except OSError as error:
            chunk = os.read(self.pipe, limit)
            self._drop(len(chunk), error)
        else:
            chunk = log.read(log.size - count, count)
            self._kept(count)
        return chunk

    def _copy_lines(self, log: LogFile, peephole: Peephole, limit: int, *, unfinished: bool) -> bytes:
        """Look, write, and only then take: a chunk is repeated if this process is killed in between, never lost."""
        seen = peephole.look(self.pipe, limit)
        self.held = 0
        end = seen.rfind(b"\n") + 1
        if unfinished or (not end and (self.hung_up or len(seen) >= LONGEST_HELD)):
            end = len(seen)
        if not end:
            self.held = len(seen)
            return b""
        chunk = seen[:end]
        try:
            log.append(self.log.prefixed(chunk))
        except OSError as error:
            self._drop(end, error)
        else:
            self._kept(end)
        peephole.discard(self.pipe, end)
        return chunk

    def _drop(self, count: int, error: OSError) -> None:
        if not count:
            return
        self.dropped += count
        news = self._failing is None
        self._failing = time.monotonic()
        if news:
            self._audience.on_dropped(self.run, self.dropped, f"{self.log.path}: {error.strerror or error}")

    def _kept(self, count: int) -> None:
        if self._failing is not None and count and time.monotonic() - self._failing > SETTLED:
            self._failing = None
            self._audience.on_dropped(self.run, self.dropped, "")

    def _tell(self, chunk: bytes) -> None:
        reports = tuple(self._look_at(chunk))
        if self.log.file is not None:
            self._mark(self.log.file)
        if reports:
            self._audience.on_reports(self.run, reports)
        if self._audience.followers:
            self._following = self._following or Following()
            if lines := self._following.lines(chunk):
                for follow in tuple(self._audience.followers):
                    follow(self.log.worker, lines)

    def _look_at(self, chunk: bytes) -> Iterable[Report]:
        self.tail.add(chunk)
        end = chunk.rfind(b"\n")
        self._begun = len(chunk) - end - 1 if end >= 0 else self._begun + len(chunk)
        return self._scanner.feed(chunk) if self._scanner is not None else ()

    def _mark(self, log: LogFile) -> None:
        """Scanned so far; whoever goes on from here needs the beginning of an unfinished line again."""
        log.scanned = log.size
        self.offset = max(0, log.size - self._begun) if self.log.raw else log.size
