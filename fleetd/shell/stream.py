"""One run's output on its way: out of its pipe, into the sink of its slot, past the eyes that look for job lines."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct, field

from fleetd.core.spec import LogSpec
from fleetd.shell.pipes import CHUNK, Peephole, enlarge, waiting
from fleetd.shell.sinks import ByteSink, LineSink, Sink
from fleetd.shell.tail import Follow, Following, Tail
from fleetd.shell.targets import Targets

LONGEST_HELD = 32 * 1024  # bytes; half of the smallest pipe, which is what it surely takes of odd-sized writes
SETTLED = 2.0  # seconds without a loss until a log counts as writable again: on a full disk a small chunk may fit

Report = TypeVar("Report")
Report_co = TypeVar("Report_co", covariant=True)


class Scanner(Protocol[Report_co]):
    """Looks for lines that mean something in the output of one run; keeps an unfinished line by itself."""

    def feed(self, chunk: bytes) -> Iterable[Report_co]:
        """What the lines that end in this chunk tell."""
        ...


class Audience(Struct, Generic[Report]):
    """Who is told of output."""

    on_reports: Callable[[str, Sequence[Report]], None]
    on_dropped: Callable[[str, int, str], None]
    followers: list[Follow] = field(default_factory=list)


class SlotLog:
    """Where the output of one slot goes, whichever run of it wrote it."""

    def __init__(self, worker: str, spec: LogSpec, owner: tuple[int, int] | None, targets: Targets) -> None:
        self.worker = worker
        self.streams = 0  # of runs that are not closed
        self.earlier = Tail()  # of the runs that are over
        self.offset: int | None = None  # in the file: what is before it was scanned, and reported
        self._targets = targets
        self._file = targets.log_file(worker, owner)
        self._spec = spec
        self.sink: Sink = targets.sink(worker, spec, self._file)

    def configure(self, spec: LogSpec) -> None:
        """Take on other settings; what was written stays as it is."""
        if spec == self._spec:
            return
        if spec.to is not self._spec.to:
            self.sink.close()
        self._spec = spec
        self.sink = self._targets.sink(self.worker, spec, self._file)


class Stream(Generic[Report]):
    """The output of one run.  Owns the descriptor `pipe`, the read end of a pipe."""

    __slots__ = (
        "_audience", "_begun", "_failing", "_following", "_large", "_scanner", "behind", "dropped", "ended", "held",
        "hung_up", "log", "pipe", "queued", "refused", "run", "tail",
    )  # fmt: skip

    def __init__(
        self, run: str, pipe: int, log: SlotLog, scanner: Scanner[Report] | None, audience: Audience[Report]
    ) -> None:
        self.run = run
        self.pipe = pipe
        self.log = log
        log.streams += 1
        self.tail = Tail()
        self.dropped = 0  # bytes
        self.held = 0  # bytes of an unfinished line that are left in the pipe
        self.refused = False  # there is something for the sink, which takes nothing now
        self.behind = 0  # bytes left in the pipe when its main process ended: to be taken before that is told
        self.hung_up = False  # nobody can write any more; what was written may still be there
        self.ended = False  # that is read, too
        self.queued = False  # for reading: kept by Output
        self._large = False
        self._begun = 0  # bytes of a line that is not finished
        self._failing: float | None = None  # monotonic time of the last byte that was dropped, until that is over
        self._scanner = scanner
        self._audience = audience
        self._following: Following | None = None

    def begin(self, offset: int | None) -> None:
        """Open the log, and look through what was written to it after `offset` and not looked at before."""
        reports: list[Report] = []
        try:
            for chunk in self.log.sink.unseen(offset):
                reports += self._look_at(chunk)
        except OSError:
            return  # the first output will tell
        self.log.offset = self.log.sink.mark(self._begun)
        if reports:
            self._audience.on_reports(self.run, reports)

    def take(self, peephole: Peephole, limit: int = CHUNK, *, unfinished: bool = False) -> int:
        """Bring at most `limit` bytes where they belong and return how many left the pipe.

        0: it is empty, it has `ended`, its sink has `refused` it, or there is only the beginning of a line (`held`),
        which is taken all the same when `unfinished` is set, when nobody can finish it, and when it is too long to wait
        for.
        """
        self.refused = False
        sink = self.log.sink
        try:
            if sink.by_line is True:
                chunk = self._copy_lines(sink, peephole, limit, unfinished=unfinished)
            else:
                chunk = self._move(sink, peephole, limit, unfinished=unfinished)
        except BlockingIOError:
            self.behind = 0
            return 0
        if chunk:
            self.held = 0
            self.behind = max(0, self.behind - len(chunk))
            self._tell(chunk)
        elif not self.held and not self.refused:
            self.ended = True
            self.behind = 0
        return len(chunk)

    def enlarge(self) -> None:
        """The pipe was full: let it hold more, once, so that a wake-up brings more."""
        if not self._large:
            self._large = True
            enlarge(self.pipe)

    def drain(self, peephole: Peephole) -> int:
        """Take what is in the pipe when this is first called, and no more, so that who goes on writing holds nobody up.

        What the sink refuses of it is `behind`, for the next call.  Returns how many bytes left the pipe.
        """
        self.behind = begun_with = self.behind or waiting(self.pipe)
        while self.behind and self.take(peephole, min(self.behind, CHUNK)):
            pass
        if self.behind and not self.refused:
            self.take(peephole, min(self.behind, CHUNK), unfinished=True)
        left = self.behind
        if not self.refused:
            self.behind = 0
        return begun_with - left

    def _move(self, sink: ByteSink, peephole: Peephole, limit: int, *, unfinished: bool) -> bytes:
        if self.log.streams > 1:  # the other one's output may be next in the log: no line must be torn by it
            limit = self._whole_lines(peephole.look(self.pipe, limit), unfinished=unfinished)
            if not limit:
                return b""
        try:
            chunk = sink.move(self.pipe, peephole, limit)
        except BlockingIOError:
            raise
        except OSError as error:
            chunk = os.read(self.pipe, limit)
            self._drop(len(chunk), error)
        else:
            self._kept(len(chunk))
        return chunk

    def _copy_lines(self, sink: LineSink, peephole: Peephole, limit: int, *, unfinished: bool) -> bytes:
        """Look, write, and only then take: a chunk is repeated if this process is killed in between, never lost."""
        if not sink.is_ready:
            self.refused = True
            return b""
        seen = peephole.look(self.pipe, limit)
        end = self._whole_lines(seen, unfinished=unfinished)
        if not end:
            return b""
        try:
            taken = sink.write(self.run, seen[:end])
        except OSError as error:
            taken = end
            self._drop(end, error)
        else:
            self._kept(taken)
        self.refused = taken < end and not sink.is_ready
        peephole.discard(self.pipe, taken)
        return seen[:taken]

    def _whole_lines(self, seen: bytes, *, unfinished: bool) -> int:
        """How many bytes of what is in the pipe may be taken: the beginning of a line is `held` until its end comes."""
        self.held = 0
        end = seen.rfind(b"\n") + 1
        if unfinished or (not end and (self.hung_up or len(seen) >= LONGEST_HELD)):
            end = len(seen)
        if not end:
            self.held = len(seen)
        return end

    def _drop(self, count: int, error: OSError) -> None:
        if not count:
            return
        self.dropped += count
        news = self._failing is None
        self._failing = time.monotonic()
        if news:
            self._audience.on_dropped(self.run, self.dropped, f"{self.log.sink.name}: {error.strerror or error}")

    def _kept(self, count: int) -> None:
        if self._failing is not None and count and time.monotonic() - self._failing > SETTLED:
            self._failing = None
            self._audience.on_dropped(self.run, self.dropped, "")

    def _tell(self, chunk: bytes) -> None:
        reports = tuple(self._look_at(chunk))
        self.log.offset = self.log.sink.mark(self._begun)
        if reports:
            self._audience.on_reports(self.run, reports)
        if self._audience.followers:
            self._following = self._following or Following()
            lines, left_out = self._following.lines(chunk)
            for follow in tuple(self._audience.followers) if lines else ():
                follow(self.log.worker, lines, left_out)

    def _look_at(self, chunk: bytes) -> Iterable[Report]:
        self.tail.add(chunk)
        end = chunk.rfind(b"\n")
        self._begun = len(chunk) - end - 1 if end >= 0 else self._begun + len(chunk)
        return self._scanner.feed(chunk) if self._scanner is not None else ()
