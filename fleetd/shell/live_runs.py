"""The runs of this instance as the daemon lives with them: of each its process, output, socket and journal entry.

Turns what happens to them into events for the core (`post`), and does to them what the core's effects say.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ParamSpec

from msgspec.structs import replace

from fleetd.core.effects import Spawn
from fleetd.core.events import Event, Exited, OutputJudged, ProcessGone, Spawned, SpawnFailed
from fleetd.core.facts import Fact, Kind
from fleetd.core.records import NOTHING, Counters, RunRecord
from fleetd.errors import FleetdError
from fleetd.frameworks.lines import LineReport
from fleetd.shell.documents import encode
from fleetd.shell.earlier_runs import EarlierRuns
from fleetd.shell.journal import Entry, Journal, News, boot_id
from fleetd.shell.keeper_link import KeeperLink
from fleetd.shell.launch import Place, inherited, request_for
from fleetd.shell.live_run import LiveRun
from fleetd.shell.notify import NotifySocket
from fleetd.shell.notify_sockets import NotifySockets
from fleetd.shell.orphans import closed_pipe
from fleetd.shell.output import Output
from fleetd.shell.paths import Instance
from fleetd.shell.preloading import template_facts
from fleetd.shell.processes import Processes
from fleetd.shell.reading import Reading, event_of
from fleetd.shell.targets import Surroundings

LINES_WITH_EXIT = 20

_P = ParamSpec("_P")

_log = logging.getLogger("fleetd")


class LiveRuns:
    """All runs that are held.

    As the files say now, `reading(pool)` tells how a pool's output is read, `uid_of(pool)` whose processes its workers
    are, None for a pool that is not in them; `has_slot(pool, slot)` says whether there is such a slot now.  `decide`
    has the core decide about all that was posted, and then calls `flush`; `wake` sees to it that this is done soon.
    """

    def __init__(  # noqa: PLR0913 - all that it needs of the daemon
        self,
        places: Instance,
        place: Place,
        keeper: KeeperLink,
        *,
        post: Callable[[Event], None],
        decide: Callable[[], None],
        wake: Callable[[], None],
        tell: Callable[[Fact], None],
        reading: Callable[[str], Reading],
        uid_of: Callable[[str], int | None],
        has_slot: Callable[[str, int], bool],
        surroundings: Surroundings | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._place = place
        self._post = post
        self._decide = decide
        self._tell = tell
        self._reading = reading
        self._has_slot = has_slot
        self._runs: dict[str, LiveRun] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._records: dict[str, RunRecord] = {}  # the last of each run
        self._unwritten: dict[str, None] = {}
        self._over: list[str] = []  # not written down yet, like the next two
        self._counted: dict[str, Counters] = {}  # by pool
        self._touched: set[str] = set()  # workers
        self._journal = Journal(places.journal, boot_id())
        self._sockets = NotifySockets(self._loop, hear=self._hear, heard=wake)
        self.output: Output[LineReport] = Output(
            places.logs,
            on_reports=self._reported,
            on_dropped=self._dropped,
            surroundings=surroundings,
            has_room=has_room,
        )
        self._journal_fails = False
        self._strays: set[int] = set()  # told already
        self._earlier = EarlierRuns(self._journal, places.notify, uid_of, keeper_is_new=keeper.pid is not None)
        self.processes = Processes.open(
            places.runtime, places.name, self, keeper, environ=inherited(os.environ), missing=self._earlier.missing
        )

    # -- taking over -------------------------------------------------------------------------------------------------

    def restored(self) -> tuple[RunRecord, ...]:
        """The records of the runs that an earlier daemon left; `begin` follows once the core knows them."""
        for run in self._journal.over:
            self.processes.forget(run)
        held = {held.run: self._earlier.known(held) for held in self.processes.held}
        lost = self._earlier.lost(held)
        for run, entry in (held | lost).items():
            record = entry.record
            live = LiveRun(record.pool, record.slot, record.pid, entry.uid, entry.gid, entry.started, entry.pipe)
            live.seen, live.exit = entry.seen, (None, None) if run in lost else None
            self._runs[run], self._records[run] = live, record
        return tuple(self._records.values())

    async def clear_away(self) -> None:
        """End what still runs of runs that are over: nobody reads its output, and it must not be doubled."""
        if self._journal.damage is not None:
            text = (
                "%s; %s workers are taken over by what else is known of them, and what they did lately may be uncounted"
            )
            _log.error(text, self._journal.damage, len(self.processes.held))
        for run in self._earlier.rest(self._runs):
            await self.processes.kill(run)
            self._over.append(run)
        self._earlier.tidy(self._runs)

    @property
    def counted(self) -> Mapping[str, Counters]:
        """What the jobs of each pool add up to, as the journal has it."""
        return self._journal.counted

    def begin(self) -> None:
        """Read what the runs of an earlier daemon wrote meanwhile, and learn which of them ended.

        It is decided and written down run by run: else a daemon that is killed while there is much of it, as its
        machine is overloaded, would leave all of it, and more, to the next one.
        """
        for held in self.processes.held:
            is_news = self._records[held.run].pid is None and not held.starting
            if is_news:
                self._runs[held.run].pid = held.pid
            self._listen(held.run, held.output, held.notify, taken_over=True)
            self._unwritten[held.run] = None
            if is_news:
                self._post(Spawned(held.run, held.pid, held.directory))
            if held.unreadable:
                self.kill(held.run)
            self._decide()
        for run in [run for run, live in self._runs.items() if live.exit is not None]:
            nothing = closed_pipe()
            self._listen(run, nothing, None, taken_over=True)
            self._decide()
            os.close(nothing)
            self._begin(self._clear_up(run, is_empty=False))
        self.processes.begin()

    # -- what the core wants -----------------------------------------------------------------------------------------

    def spawn(self, effect: Spawn, record: RunRecord) -> None:
        """Start a process for a run."""
        try:
            request = request_for(effect, self._place)
        except (FleetdError, OSError, ValueError) as error:
            self._post(SpawnFailed(effect.run, str(error)))
            return
        self._runs[effect.run] = LiveRun(effect.pool, effect.slot, uid=request.uid, gid=request.gid)
        meta = encode(Entry(record, uid=request.uid, gid=request.gid)).decode()
        self.processes.spawn(replace(request, meta=meta))

    def kill(self, run: str) -> None:
        """SIGKILL to everything the run started."""
        self._begin(self.processes.kill(run))

    def forget(self, run: str) -> None:
        """Let go of a run that is over: of its process once that is written down."""
        live = self._let_go(run)
        self._records.pop(run, None)
        self._unwritten.pop(run, None)
        if live is not None:
            self._touched.add(live.worker)
        self._over.append(run)

    def _let_go(self, run: str) -> LiveRun | None:
        live = self._runs.pop(run, None)
        if live is not None and live.socket is not None:
            self._sockets.remove(live.socket)
            live.socket.close()
        self.output.close(run)
        return live

    def record(self, record: RunRecord) -> None:
        """Write down where a run stands: before it is started or asked to end that, else all with the next `flush`."""
        before = self._records.get(record.run)
        self._records[record.run] = record
        self._touched.add(f"{record.pool}:{record.slot}")
        if record.pid is None:
            self._note(self._journal.intend, Entry(record), self.output.offset(f"{record.pool}:{record.slot}"))
            return
        self._unwritten[record.run] = None
        if record.ending is not None and (before is None or before.ending is None):
            self._note(self._journal.end, record.run, record.ending)

    def count(self, pool: str, counters: Counters) -> None:
        """Write down with the next `flush` what the jobs of a pool add up to."""
        self._counted[pool] = self._counted.get(pool, NOTHING).followed_by(counters)

    def flush(self) -> None:
        """Write down what is new; then tell the workers that it is safe, and let go of those that are over.

        To be called when every event that was posted has been decided about: only then do the records, the offsets of
        the output and the numbers of the messages belong together.
        """
        self._sockets.listen_again()
        if not self._unwritten and not self._over:
            return
        unwritten = {run: self._runs.get(run) for run in self._unwritten}
        entries = tuple(self._entry(run, live) for run, live in unwritten.items())
        touched = ((worker, self.output.scanned(worker)) for worker in self._touched)
        scanned = {worker: offset for worker, offset in touched if offset is not None}
        self._note(self._journal.write, News(entries, tuple(self._over), self._counted, scanned))
        for live in unwritten.values():
            if live is not None and live.socket is not None:
                live.socket.acknowledge()
        for run in self._over:
            self.processes.forget(run)
        for worker in self._touched:
            pool, _, slot = worker.rpartition(":")
            if not self._has_slot(pool, int(slot)):
                self.output.drop(worker)
        self._unwritten.clear()
        self._touched.clear()
        self._over.clear()
        self._counted = {}

    def _entry(self, run: str, live: LiveRun | None) -> Entry:
        if live is None:
            return Entry(self._records[run])
        seen = live.seen if live.socket is None else live.socket.seen
        return Entry(self._records[run], seen, live.uid, live.gid, live.started, live.pipe)

    # -- what processes tell -----------------------------------------------------------------------------------------

    def spawned(self, run: str, pid: int | None, directory: str, output: int, notify: int | None) -> None:
        """See `Outcomes`."""
        live = self._runs[run]
        live.pid = pid
        self._post(Spawned(run, pid, directory))
        if live.is_listened_to:  # since it was taken over, before its exec
            live.identify()
        else:
            self._listen(run, output, notify)

    def spawn_failed(self, run: str, error: str) -> None:
        """See `Outcomes`."""
        self._let_go(run)
        self._post(SpawnFailed(run, error))

    def exited(self, run: str, code: int | None, signal: int | None) -> None:
        """See `Outcomes`.  What it wrote and said comes before its exit; what it started is gone before, too."""
        live = self._runs[run]
        live.exit = (code, signal)
        was_taken = self.output.finish(run)
        is_empty = self.processes.trees.is_empty(run)
        if is_empty and was_taken:
            self._ended(run, ())
        else:
            self._begin(self._clear_up(run, is_empty=is_empty))

    async def _clear_up(self, run: str, *, is_empty: bool) -> None:
        left = () if is_empty else await self.processes.kill(run)
        self.output.finish(run)
        await self.output.caught_up(run)
        self._ended(run, left)

    def _ended(self, run: str, left: tuple[int, ...]) -> None:
        live = self._runs[run]
        if live.socket is not None:
            self._hear(live.socket, is_over=True)
        code, signal = live.exit or (None, None)
        lines = self.output.last_lines(run, LINES_WITH_EXIT)
        oom = self.processes.trees.had_oom_kill(run)
        self._tell_strays()
        self._post(Exited(run, code, signal, oom=oom, last_lines=lines, leftover=left))

    def _tell_strays(self) -> None:
        strays = set(self.processes.trees.strays())
        if new := sorted(strays - self._strays):
            self._tell(Fact(Kind.PROCESS_STRAYED, fields={"pids": tuple(map(str, new))}))
        self._strays = strays

    def template_told(self, report: Mapping[str, Any]) -> None:
        """See `Outcomes`."""
        for fact in template_facts(report):
            self._tell(fact)

    # -- what runs tell ----------------------------------------------------------------------------------------------

    def _listen(self, run: str, output: int, notify: int | None, *, taken_over: bool = False) -> None:
        live = self._runs[run]
        live.is_listened_to = True
        live.pipe = os.fstat(output).st_ino
        live.identify()
        reading = self._reading(live.pool)
        owner = None if live.uid is None or live.gid is None else (live.uid, live.gid)
        offset = self._journal.scanned(live.worker) if taken_over else None
        self.output.attach(run, os.dup(output), live.worker, reading.log, reading.scanner(), owner=owner, offset=offset)
        if notify is not None:
            receiver = socket.socket(fileno=os.dup(notify))
            allowed = frozenset() if live.uid is None else frozenset({live.uid})
            working = [job.process for job in self._records[run].jobs_in_hand if job.process is not None]
            live.socket = NotifySocket(
                receiver, run, allowed, seen=live.seen, processes=working, on_refused=_log.warning
            )
            self._sockets.add(live.socket)
            if taken_over:  # an earlier daemon may have bound another one, which went with it
                self._restore(live)

    def _restore(self, live: LiveRun) -> None:
        """Bind a socket where the worker looks for its own, if that was removed."""
        if live.socket is not None:
            path = str(self._place.notify_folder / live.socket.run)
            self._sockets.restore(live.socket, path, os.geteuid() if live.uid is None else live.uid)

    def _hear(self, messages: NotifySocket, *, is_over: bool = False) -> None:
        self._unwritten[messages.run] = None
        for event in messages.receive(is_over=is_over):
            if not isinstance(event, ProcessGone) or self._runs[messages.run].exit is None:  # else Exited tells
                self._post(event)

    def _reported(self, run: str, reports: Sequence[LineReport]) -> None:
        for report in reports:
            self._post(event_of(run, report))

    def _dropped(self, run: str, count: int, error: str) -> None:
        live = self._runs.get(run)
        kind = Kind.OUTPUT_DROPPED if error else Kind.OUTPUT_KEPT
        worker = live.worker if live else None
        self._tell(Fact(kind, live.pool if live else None, worker, {"bytes": count, "error": error}))
        self._post(OutputJudged(run, error))

    # -- measures ----------------------------------------------------------------------------------------------------

    def pids(self) -> dict[str, int]:
        """The main processes by run, of those that have not ended."""
        return {run: live.pid for run, live in self._runs.items() if live.pid is not None and live.exit is None}

    # -- the rest ----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait for the killings that are under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def furnish_again(self) -> None:
        """Files were removed: write down again all that the journal held, and bind the sockets of workers again."""
        self._note(self._journal.renew)
        for live in self._runs.values():
            self._restore(live)

    def close(self) -> None:
        """Let go of everything; the keeper ends as well when no run is left."""
        self._sockets.close()
        self.output.close_all()
        self.processes.close(quit_keeper=not self._runs)
        self._journal.close()

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, write: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Write to the journal; a full disk must not stop the supervision, and is told once."""
        try:
            write(*args, **kwargs)
        except OSError as error:
            if not self._journal_fails:
                _log.error("the journal of runs cannot be written: %s; a crash of the daemon would lose count", error)
            self._journal_fails = True
        else:
            self._journal_fails = False
