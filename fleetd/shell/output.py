"""The output of all workers: one epoll for every pipe, read in turns, with rests in which the pipes collect."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic

from fleetd.core.spec import LogSpec
from fleetd.shell.pipes import CHUNK, Peephole, keep_memory_of_chunks
from fleetd.shell.stream import Audience, Report, Scanner, SlotLog, Stream
from fleetd.shell.tail import Follow
from fleetd.shell.targets import Surroundings, Targets

SHORTEST_REST = 0.001  # seconds
LONGEST_REST = 0.050
FULL = CHUNK // 2  # a chunk of this size says that its pipe is as good as full
TURN = 1024 * 1024  # bytes read before the loop may do something else
UNFINISHED = 1.0  # seconds that the beginning of a line waits for its end


class Output(Generic[Report]):
    """Reads what the runs of one instance write, into `directory`/POOL-SLOT.log, and keeps the last lines.

    Nothing here waits, all calls are made on the event loop.  Nothing is read unless `has_room` says that what was
    reported is dealt with.  `on_reports(run, reports)` is told what the scanners
    found.  `on_dropped(run, bytes_so_far, reason)` is told when the log of a run cannot be written from now on, and
    with an empty reason when it can again.  The pipes are edge-triggered in an epoll of their own: one that holds the
    beginning of a line stays quiet until more comes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_reports: Callable[[str, Sequence[Report]], None],
        on_dropped: Callable[[str, int, str], None],
        clock: Callable[[], float] = time.time,
        surroundings: Surroundings | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._audience = Audience(on_reports, on_dropped)
        self._has_room = has_room
        self._targets = Targets(directory, clock, self._try_again, surroundings or Surroundings())
        keep_memory_of_chunks()
        self._peephole = Peephole()
        self._epoll = select.epoll()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._logs: dict[str, SlotLog] = {}  # by worker
        self._streams: dict[str, Stream[Report]] = {}  # by run
        self._dropped_before: Counter[str] = Counter()  # bytes by pool, of runs that are over
        self._by_pipe: dict[int, Stream[Report]] = {}
        self._ready: deque[Stream[Report]] = deque()  # to be read in this turn
        self._resting: list[Stream[Report]] = []  # to be read in the next one
        self._refused: list[Stream[Report]] = []  # to be read when their sink takes something again
        self._catching_up: dict[Stream[Report], asyncio.Future[None]] = {}
        self._unfinished: dict[Stream[Report], float] = {}  # when the beginning of its last line grew
        self._rest = SHORTEST_REST
        self._next_turn: asyncio.Handle | None = None
        self._unfinished_timer: asyncio.Handle | None = None
        self._is_asleep = False  # until a pipe has something

    # -- runs --------------------------------------------------------------------------------------------------------

    def attach(
        self,
        run: str,
        fd: int,
        worker: str,
        log: LogSpec,
        scanner: Scanner[Report] | None = None,
        *,
        owner: tuple[int, int] | None = None,
        offset: int | None = None,
    ) -> None:
        """Read the output of a run from now on.  Takes over `fd`, the read end of a pipe.

        `worker` is POOL:SLOT, `owner` the uid and gid of a log file that has to be made.  `offset` is given for a run
        of an earlier daemon: what was written to the log after it is scanned first.
        """
        os.set_blocking(fd, False)
        slot_log = self._log_of(worker, log, owner)
        stream = Stream(run, fd, slot_log, scanner, self._audience)
        self._streams[run] = stream
        self._by_pipe[fd] = stream
        stream.begin(offset)
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._sleep()

    def finish(self, run: str) -> bool:
        """The main process has exited: read what it left, at most a pipe full, and end its last line.

        False when the sink does not take all of it now: `caught_up` waits for that.
        """
        stream = self._streams.get(run)
        if stream is None or stream.ended:
            return True
        stream.drain(self._peephole)
        self._queue_refused(stream)
        return not stream.behind

    async def caught_up(self, run: str) -> None:
        """Wait until what a run left was taken, or is dropped as nobody takes it: for some seconds at most."""
        stream = self._streams.get(run)
        if stream is not None and stream.behind:
            future = self._catching_up.setdefault(stream, asyncio.get_running_loop().create_future())
            await asyncio.shield(future)

    def close(self, run: str) -> None:
        """Nothing of the run is left: read the last of it and let go of its pipe."""
        self.finish(run)
        if (stream := self._streams.get(run)) is not None:
            stream.log.earlier.add_all(stream.tail)
            self._let_go(stream)

    def drop(self, worker: str) -> None:
        """Forget the last lines of a worker that there will be no other of; its file stays."""
        log = self._logs.get(worker)
        if log is not None and not log.streams:
            del self._logs[worker]

    def close_all(self) -> None:
        """Let go of everything and leave in the pipes what is there, for the daemon that comes next."""
        for stream in tuple(self._streams.values()):
            self._let_go(stream)
        for timer in (self._next_turn, self._unfinished_timer):
            if timer is not None:
                timer.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._peephole.close()
        self._targets.close()

    # -- what was written --------------------------------------------------------------------------------------------

    def last_lines(self, run: str, n: int = 20) -> tuple[str, ...]:
        """The last lines of a run that is not closed, safe for a terminal."""
        return self._streams[run].tail.lines(n) if run in self._streams else ()

    def last_lines_of(self, worker: str, n: int = 20) -> tuple[str, ...]:
        """The last lines of a worker, of runs that are over too."""
        if worker not in self._logs:
            return ()
        live = (stream.tail.lines(n) for stream in self._streams.values() if stream.log.worker == worker)
        return (*self._logs[worker].earlier.lines(n), *(line for lines in live for line in lines))[-n:]

    def dropped(self, run: str) -> int:
        """How many bytes of a run that is not closed could not be written."""
        return self._streams[run].dropped if run in self._streams else 0

    def dropped_by_pool(self) -> dict[str, int]:
        """How many bytes of output could not be written since this began, of runs that are over too."""
        dropped = Counter(self._dropped_before)
        for stream in self._streams.values():
            dropped[_pool_of(stream.log.worker)] += stream.dropped
        return dropped

    def offset(self, worker: str) -> int:
        """Up to where in the worker's log what its runs wrote was scanned and reported, for a later `attach`.

        The size of the file, 0 when there is none, for a worker whose first run is about to begin.
        """
        log = self._logs.get(worker)
        if log is not None and log.offset is not None:
            return log.offset
        path = self.path(worker)
        try:
            return path.stat().st_size if path is not None else 0
        except OSError:
            return 0

    def scanned(self, worker: str) -> int | None:
        """The same for one whose log was looked at; None: as far as an earlier daemon came."""
        log = self._logs.get(worker)
        return None if log is None else log.offset

    def path(self, worker: str) -> Path | None:
        """The worker's log file, None when there is none."""
        log = self._logs.get(worker)
        if log is not None:
            return log.sink.path
        path = self._targets.path(worker)
        return path if path.exists() else None

    def follow(self, callback: Follow) -> Callable[[], None]:
        """Tell `callback` what is written from now on, until the answer is called."""
        self._audience.followers.append(callback)

        def unfollow() -> None:
            with suppress(ValueError):
                self._audience.followers.remove(callback)

        return unfollow

    # -- log files ---------------------------------------------------------------------------------------------------

    def reconfigure(self, worker: str, log: LogSpec) -> None:
        """Write the worker's output as `log` says from now on."""
        if worker in self._logs:
            self._logs[worker].configure(log)

    def reopen(self) -> None:
        """Go on in new files where others have moved the old ones away."""
        for log in self._logs.values():
            log.sink.close()
        for stream in self._streams.values():
            stream.begin(None)

    def _log_of(self, worker: str, log: LogSpec, owner: tuple[int, int] | None) -> SlotLog:
        if worker in self._logs:
            self._logs[worker].configure(log)
        else:
            self._logs[worker] = SlotLog(worker, log, owner, self._targets)
        return self._logs[worker]

    def _let_go(self, stream: Stream[Report]) -> None:
        self._ignore(stream)
        self._unfinished.pop(stream, None)
        self._streams.pop(stream.run)
        if stream.dropped:
            self._dropped_before[_pool_of(stream.log.worker)] += stream.dropped
        self._told_caught_up(stream)
        stream.ended, stream.refused = True, False
        os.close(stream.pipe)
        stream.log.streams -= 1
        if not stream.log.streams:
            stream.log.sink.close()

    def _ignore(self, stream: Stream[Report]) -> None:
        if self._by_pipe.get(stream.pipe) is stream:  # not another one that has its number now
            del self._by_pipe[stream.pipe]
            self._epoll.unregister(stream.pipe)

    # -- turns -------------------------------------------------------------------------------------------------------

    def _sleep(self) -> None:
        assert self._loop is not None
        self._is_asleep = True
        self._loop.add_reader(self._epoll.fileno(), self._wake)

    def _wake(self) -> None:
        assert self._loop is not None
        self._is_asleep = False
        self._loop.remove_reader(self._epoll.fileno())
        self._rest = SHORTEST_REST
        self._next_turn = self._loop.call_later(self._rest, self._turn)

    def _turn(self) -> None:
        """Read from the pipes that have something, then rest; go to sleep when none had."""
        assert self._loop is not None
        if not self._has_room():
            self._next_turn = self._loop.call_soon(self._turn)
            return
        self._ready.extend(self._resting)
        self._resting.clear()
        for pipe, events in self._epoll.poll(0):
            stream = self._by_pipe[pipe]
            stream.hung_up |= bool(events & select.EPOLLHUP)
            if not stream.queued:
                stream.queued = True
                self._ready.append(stream)
        try:
            self._read_ready()
        finally:  # a listener's failure must not stop the turns
            if self._ready:
                self._next_turn = self._loop.call_soon(self._turn)
            elif self._resting:
                self._next_turn = self._loop.call_later(self._rest, self._turn)
            else:
                self._sleep()

    def _try_again(self) -> None:
        """A sink takes something again, or will take nothing for long: those who waited for it have their turn."""
        self._resting += self._refused
        self._refused.clear()
        if self._is_asleep:
            self._wake()

    def _read_ready(self) -> None:
        """One chunk from each pipe in turn, from full ones again.

        A pipe that gave something rests and is looked at in the next turn too: its next edge is sure to come only
        after it was seen empty.  The rest gets longer while chunks are hardly worth the wake-up.
        """
        left, greatest = TURN, 0
        while self._ready and left > 0 and self._has_room():
            stream = self._ready.popleft()
            self._resting.append(stream)
            held = stream.held
            taken = self._take(stream)
            left -= taken
            greatest = max(greatest, taken)
            if taken >= FULL:
                self._ready.append(self._resting.pop())
                stream.enlarge()
            elif stream.refused:
                self._refused.append(self._resting.pop())
            elif not taken and stream.held <= held:
                self._quieten(self._resting.pop())
            self._watch_unfinished(stream, grew=stream.held > held)
        if greatest >= FULL:
            self._rest = max(SHORTEST_REST, self._rest / 2)
        elif greatest < FULL // 2:
            self._rest = min(LONGEST_REST, self._rest * 2)

    def _queue_refused(self, stream: Stream[Report]) -> None:
        if stream.refused and not stream.queued:
            stream.queued = True
            self._refused.append(stream)

    def _take(self, stream: Stream[Report]) -> int:
        if stream.ended:
            return 0
        if not stream.behind:
            return stream.take(self._peephole)
        taken = stream.drain(self._peephole)
        if not stream.behind:
            self._told_caught_up(stream)
        return taken

    def _told_caught_up(self, stream: Stream[Report]) -> None:
        future = self._catching_up.pop(stream, None)
        if future is not None and not future.done():
            future.set_result(None)

    def _quieten(self, stream: Stream[Report]) -> None:
        stream.queued = False
        if stream.ended:
            self._ignore(stream)

    def _watch_unfinished(self, stream: Stream[Report], *, grew: bool) -> None:
        assert self._loop is not None
        if not stream.held:
            self._unfinished.pop(stream, None)
        elif grew:
            self._unfinished[stream] = self._loop.time()
            if self._unfinished_timer is None:
                self._unfinished_timer = self._loop.call_later(UNFINISHED, self._end_unfinished)

    def _end_unfinished(self) -> None:
        """Write what has waited for the end of its line for too long; wait on for the others."""
        assert self._loop is not None
        self._unfinished_timer = None
        due = self._loop.time() - UNFINISHED + SHORTEST_REST
        for stream in [stream for stream, since in self._unfinished.items() if since <= due]:
            del self._unfinished[stream]
            stream.take(self._peephole, unfinished=True)
            self._queue_refused(stream)
        if self._unfinished:
            wait = min(self._unfinished.values()) - due
            self._unfinished_timer = self._loop.call_later(wait, self._end_unfinished)


def _pool_of(worker: str) -> str:
    return worker.rpartition(":")[0]
