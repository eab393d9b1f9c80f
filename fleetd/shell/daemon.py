"""The daemon: one inbox, one core, one interpreter, on one event loop.

Events are posted from anywhere on the loop; a turn takes them out in order, lets the core decide, and has the effects
carried out.  Nothing in here waits for a process or a socket, and nothing in here has an opinion.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetd import __version__, garbage
from fleetd.config.accepted import Accepted
from fleetd.core.chance import Chance
from fleetd.core.decide import decide, next_deadline
from fleetd.core.events import Event, Restored, ShutdownRequested, SpecChanged, Tick
from fleetd.core.facts import Fact, Kind, Value
from fleetd.core.plan import as_it_runs
from fleetd.core.spec import FleetSpec
from fleetd.core.state import Moment, State
from fleetd.shell import log, memory, paths
from fleetd.shell.alerting import Alerting
from fleetd.shell.control import ControlServer
from fleetd.shell.fact_log import FactLog
from fleetd.shell.handover import Tenure
from fleetd.shell.interpreter import Interpreter
from fleetd.shell.keeper_link import KeeperLink
from fleetd.shell.launch import Place, uid_of
from fleetd.shell.live_runs import LiveRuns
from fleetd.shell.memory_watch import MemoryWatch
from fleetd.shell.metrics import Metrics
from fleetd.shell.outlet import standard_streams
from fleetd.shell.paced import Paced
from fleetd.shell.paths import Instance
from fleetd.shell.queue_reads import QueueReads
from fleetd.shell.reading import Reading
from fleetd.shell.reaper import Reaper
from fleetd.shell.samples import Samples
from fleetd.shell.service_manager import ServiceManager
from fleetd.shell.start_signals import DRAIN, hold_signals, release_signals
from fleetd.shell.targets import Surroundings
from fleetd.shell.upgrading import Upgrades
from fleetd.shell.verbs import Verbs
from fleetd.views.snapshot import Identity, Sample, Snapshot, snapshot

if TYPE_CHECKING:
    from fleetd.shell.heartbeat import Heartbeat

EVENTS_A_TURN = 64

_log = logging.getLogger("fleetd")


def run(load: Callable[[], Accepted], spec: FleetSpec, places: Instance, keeper: KeeperLink, tenure: Tenure) -> int:
    """Run the daemon of an instance until it has drained; answers the exit code.

    `load` reads the pool files again, `keeper` has been reached and not spoken to.
    """
    hold_signals()
    garbage.look_from_now_on()
    own_log = log.DetachedLog(places.daemon_log) if tenure.detached else None
    stdout, stderr = standard_streams()
    faulthandler.enable(2)  # a watchdog's SIGABRT, or a crash, says in the log where the daemon was
    surroundings = Surroundings(stdout)
    if own_log is not None:
        surroundings.before_stdout = own_log.keep_up
    log.configure(spec.daemon.log_level, spec.daemon.log_format, stderr, surroundings.before_stdout)
    return asyncio.run(Daemon(spec, places, load, keeper, tenure, own_log, surroundings).serve())


class Daemon:
    """One instance at work."""

    def __init__(
        self,
        spec: FleetSpec,
        places: Instance,
        load: Callable[[], Accepted],
        keeper: KeeperLink,
        tenure: Tenure,
        own_log: log.DetachedLog | None,
        surroundings: Surroundings,
    ) -> None:
        self.places = places
        self.spec = spec
        self.facts = FactLog()
        self.finished = asyncio.Event()
        self.state = State(Chance(int.from_bytes(os.urandom(8))))
        self.service = ServiceManager.from_environment(os.environ, self.state)
        self.identity = Identity(
            instance=places.name,
            host=spec.host or socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            started_at=time.time(),
        )
        self.load = load
        self._keeper = keeper
        self._tenure, self._own_log = tenure, own_log
        self._surroundings = surroundings
        self._inbox: deque[Event] = deque()
        self.turns = 0  # so far: while this stays, nothing was decided
        self._is_due = False
        self._decided: dict[int, asyncio.Future[None]] = {}  # by the id of an event in the inbox
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float | None = None
        self._state_file = memory.StateFile(places.state_file, self.state.remembered_now)
        self._memory_watch = MemoryWatch(self._pools_and_pids, self.post)
        self._changed: asyncio.Future[None] | None = None
        self._last_roll = 0
        self._samples = Samples()
        self.queue_reads = QueueReads(self.decide_about)
        self._metrics = Metrics(self)
        self.heartbeat: Heartbeat | None = None

    async def serve(self) -> int:
        """Take over what an earlier daemon left, then supervise until everything is drained."""
        loop = self._loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._report_defect)
        self.service.starting()
        remembered = memory.load(self.places.state_file)
        if self.spec.member is not None:
            from fleetd.shell import heartbeat  # noqa: PLC0415 - a daemon alone does without

            self.heartbeat = heartbeat.join(self, self.spec.member)
        fleet = None if self.spec.member is None else self.spec.member.fleet
        place = Place(self.identity.host, fleet, str(Path.cwd()), self.places.notify)
        self.runs = LiveRuns(
            self.places,
            place,
            self._keeper,
            post=self.post,
            decide=self.decide_all,
            wake=self._wake,
            tell=self.facts.tell,
            reading=self._reading,
            uid_of=self._uid_of,
            has_slot=self._has_slot,
            surroundings=self._surroundings,
            has_room=lambda: not self._inbox,
        )
        reaper = Reaper(loop)
        self._alerting = Alerting(self, fleet, reaper)
        remember, notify, finish = self._state_file.remember, self._alerting.notify, self.finished.set
        tell = self.facts.tell
        self._interpreter = Interpreter(self.runs, tell=tell, remember=remember, notify=notify, finish=finish)
        restored = Restored(remembered, self.runs.restored(), self.runs.counted)
        await self.runs.clear_away()
        self.post(restored)
        self._turn()
        if self.heartbeat is not None:
            await self.heartbeat.begin()  # before anybody can ask what there is
        verbs, upgrades = Verbs(self), Upgrades(self, reaper, self._tenure)
        group, table = self.spec.daemon.socket_group, verbs.table() | upgrades.table()
        control = ControlServer(self.places.control, table, group=group, on_removed=self._furnish_again)
        before = self._tenure.before
        await control.open(None if before is None else before.control)
        control.watch()
        self._tenure.commands_are_taken()
        self._catch_signals(verbs)
        told: dict[str, Value] = {"instance": self.identity.instance, "pid": self.identity.pid, "version": __version__}
        self.facts.tell(
            Fact(Kind.DAEMON_STARTED, fields=told | {"replaced": None if before is None else before.version})
        )
        self.post(SpecChanged(self.spec))
        self._turn()
        if before is not None:
            await control.go_on(before.control)  # before output is read, as some of them follow it
        self.runs.begin()
        await self._metrics.follow(self.spec.daemon.metrics_listen)
        self.service.ready()
        self._memory_watch.follow(self.spec)
        self.queue_reads.follow(self.spec)
        self._alerting.follow(self.spec)
        if before is not None:
            before.listen_to_signals()
        await upgrades.until_over(control)
        await self._close(control)
        reaper.close()
        return 0

    async def _close(self, control: ControlServer) -> None:
        await self.runs.settle()
        await self.queue_reads.close()
        await self._metrics.close()
        await self._alerting.close()
        self.decide_all()
        self._state_file.save()
        if self.heartbeat is not None:
            await self.heartbeat.close()
        await control.close()
        self.runs.close()
        if not self.state.runs:
            self._tenure.locks.erase()
        self.service.close()

    def decide_all(self) -> None:
        """Decide about all that has happened, in this step; a defect costs the event in which it is."""
        while self._inbox:
            try:
                self._turn()
            except Exception as defect:  # noqa: BLE001 - as the loop does with one in a turn of its own
                self._report_defect(self._loop, {"message": "an event failed unexpectedly", "exception": defect})

    async def pass_on(self) -> None:
        """Write down what is decided, for a daemon that follows at once; the heartbeat is held."""
        if self.heartbeat is not None:
            await self.heartbeat.disconnect()
        await self._alerting.close()
        self.decide_all()
        self._state_file.save()

    @property
    def own_log(self) -> Path | None:
        """The file that this daemon's log goes to, None where that is for its caller to say."""
        return self.places.daemon_log if self._tenure.detached else None

    # -- the loop ----------------------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Put an event into the inbox."""
        self._inbox.append(event)
        self._wake()

    async def decide_about(self, *events: Event) -> None:
        """Put events into the inbox and wait until the core has decided about them."""
        decided = [self._decided.setdefault(id(event), self._loop.create_future()) for event in events]
        for event in events:
            self.post(event)
        for each in decided:
            await asyncio.shield(each)

    def _wake(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Let the core decide about what is in the inbox, a bounded number at a time.

        Only when all is decided can it be written down: until then nothing more is read of what workers say.
        """
        self._is_due = False
        self.turns += 1
        try:
            for _ in range(min(EVENTS_A_TURN, len(self._inbox))):
                self._handle(self._inbox.popleft())
        finally:
            if self._inbox:
                self._wake()
            else:
                self.runs.flush()
            self._set_alarm()
            self._notify_waiting()
            if self.heartbeat is not None:
                self.heartbeat.consider()
            self.service.consider()

    def _handle(self, event: Event) -> None:
        try:
            for effect in decide(self.state, event, self.now()):
                self._interpreter.perform(effect)
        finally:  # who waits must not wait for ever because of a defect
            if (decided := self._decided.pop(id(event), None)) is not None:
                decided.set_result(None)

    def now(self) -> Moment:
        """The clocks."""
        return Moment(time.monotonic(), time.time())

    def _set_alarm(self) -> None:
        due = next_deadline(self.state)
        if due == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = None if due is None else self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = self._alarm_at = None
        self.post(Tick())

    async def changed(self) -> None:
        """Wait until the core has decided something."""
        if self._changed is None:
            self._changed = self._loop.create_future()
        await asyncio.shield(self._changed)

    def _notify_waiting(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None

    def _report_defect(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        _log.error("internal error: %s; please report it", context["message"], exc_info=context.get("exception"))

    # -- signals -----------------------------------------------------------------------------------------------------

    def _catch_signals(self, verbs: Verbs) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.post, ShutdownRequested())
        self._loop.add_signal_handler(DRAIN, verbs.drain_by_signal)
        self._loop.add_signal_handler(signal.SIGHUP, Paced(verbs.reloading.by_signal, self._loop))
        self._loop.add_signal_handler(signal.SIGUSR1, Paced(self._reopen_logs, self._loop))
        release_signals()

    def _reopen_logs(self) -> None:
        self.runs.output.reopen()
        if self._own_log is not None:
            self._own_log.reopen()

    # -- the pool files ----------------------------------------------------------------------------------------------

    async def apply(self, spec: FleetSpec, roll: int) -> None:
        """Go on with a new spec; the rollouts that follow have the id `roll`."""
        self.spec = spec = as_it_runs(self.spec, spec)
        await self.decide_about(SpecChanged(spec, roll))
        for name, pool in self.state.pools.items():
            new = spec.pools.get(name)
            for index in pool.slots if new is not None else ():
                assert new is not None
                self.runs.output.reconfigure(f"{name}:{index}", new.log)
        self._memory_watch.follow(self.spec)
        self.queue_reads.follow(spec)
        self._alerting.follow(spec)
        await self._metrics.follow(spec.daemon.metrics_listen)

    def next_roll(self) -> int:
        """A new id for rollouts."""
        self._last_roll += 1
        return self._last_roll

    def _uid_of(self, pool: str) -> int | None:
        spec = self.spec.pools.get(pool)
        return None if spec is None else uid_of(spec.launch)

    def _has_slot(self, pool: str, slot: int) -> bool:
        return pool in self.state.pools and slot in self.state.pools[pool].slots

    def _reading(self, pool: str) -> Reading:
        spec = self.spec.pools.get(pool)
        return Reading() if spec is None else Reading(spec.log, spec.patterns)

    def _furnish_again(self) -> None:
        """Somebody removed files from the runtime directory: make again what workers and other daemons look for.

        Raises FleetdError where that cannot be.
        """
        paths.prepare(self.places, self.spec.daemon.socket_group)
        if not self.places.lock.exists():
            _log.warning("%s was removed: made again", self.places.lock)
            self._tenure.locks.take_again(self.places)
        self.runs.furnish_again()

    # -- measures ----------------------------------------------------------------------------------------------------

    def snapshot(self, pools: frozenset[str] | None = None, samples: Mapping[str, Sample] | None = None) -> Snapshot:
        """The picture of this host now; with `samples`, nothing is measured anew."""
        measured = self.samples(pools) if samples is None else samples
        return snapshot(self.state, self.now(), self.identity, measured, pools)

    def _pools_and_pids(self) -> dict[str, tuple[str, int]]:
        runs = self.state.runs
        return {run: (runs[run].pool, pid) for run, pid in self.runs.pids().items() if run in runs}

    def samples(self, pools: frozenset[str] | None = None) -> dict[str, Sample]:
        """Measures of the processes, by run."""
        output, pids = self.runs.output, self.runs.pids()
        if pools is not None:
            pids = {run: pid for run, pid in pids.items() if self.state.runs[run].pool in pools}
        measured = self._samples.measure(pids)
        return {run: Sample(rss, cpu, output.dropped(run)) for run, (rss, cpu) in measured.items()}
