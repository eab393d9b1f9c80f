"""A host without a daemon and without workers: the real core and the real heartbeat, a keeper that answers at once."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import deque
from collections.abc import Mapping

from fleetd import __version__
from fleetd.coordination.port import Coordinator
from fleetd.core.chance import Chance
from fleetd.core.decide import decide, next_deadline
from fleetd.core.effects import Announce, Effect, Forget, KillTree, Signal, Spawn
from fleetd.core.events import Event, Exited, FleetLost, JobReported, SaidReady, Source, Spawned, SpecChanged, Tick
from fleetd.core.facts import Kind
from fleetd.core.membership import Membership
from fleetd.core.spec import Amount, FleetSpec, Launch, LineMeaning, MemberSpec, PoolSpec, Ready
from fleetd.core.state import Moment, State
from fleetd.shell.fact_log import FactLog
from fleetd.shell.heartbeat import Heartbeat
from fleetd.views.snapshot import Identity, Sample, Snapshot, snapshot

INSTANCE = "app"
RELEASE = "/srv/app/releases/20261104120000"
TERM, KILL = 15, 9


def spec_of(fleet: str, name: str, url: str, *, pools: int, workers: int) -> FleetSpec:
    """Some pools of workers each, as of an ordinary application; a quarter of the hosts may roll at once."""
    names = [f"queue-{number}" for number in range(pools)]
    return FleetSpec(
        {
            name: PoolSpec(
                name,
                Launch(("php", "artisan", "queue:work"), queues=(name, "low")),
                framework="laravel",
                numprocs=workers,
                ready=Ready.LINE,
                healthy_after=1.0,
                reports_jobs=True,
            )
            for name in names
        },
        host=name,
        member=MemberSpec(fleet, url, Amount(share=0.25)),
    )


class SimulatedHost:
    """A member of the fleet; it does with events what the daemon does."""

    def __init__(self, spec: FleetSpec, number: int, coordinator: Coordinator) -> None:
        assert spec.member is not None
        assert spec.host is not None
        self.spec = spec
        self.facts = FactLog()
        self.identity = Identity(INSTANCE, spec.host, 1000 + number, __version__, time.time())
        membership = Membership(spec.member.fleet, spec.host, f"{spec.host}/{INSTANCE}", f"machine-of-{spec.host}")
        self.state = State(Chance(number), fleet=membership)
        self.known: dict[int, float] = {}  # epoch: when the core believed it
        self.lost = 0  # beats without an answer
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Event] = deque()
        self._decided: dict[int, asyncio.Future[None]] = {}
        self._is_due = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float | None = None
        self._pids: dict[str, int] = {}
        self.own_id = f"{number:032x}"
        self.heartbeat = Heartbeat(self, coordinator, membership, self.own_id)

    async def begin(self) -> None:
        """As a daemon that starts."""
        await self.heartbeat.begin()
        self.post(SpecChanged(self.spec))

    async def close(self) -> None:
        """As a daemon that ends."""
        if self._alarm is not None:
            self._alarm.cancel()
        await self.heartbeat.close()
        if self._alarm is not None:
            self._alarm.cancel()

    # -- as the daemon does it ---------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        self._inbox.append(event)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn)

    async def decide_about(self, *events: Event) -> None:
        for event in events:
            self.lost += isinstance(event, FleetLost)
            decided = self._decided[id(event)] = self._loop.create_future()
            self.post(event)
            await asyncio.shield(decided)

    def _turn(self) -> None:
        self._is_due = False
        inbox, self._inbox = self._inbox, deque()
        for event in inbox:
            for effect in decide(self.state, event, self._now()):
                self._perform(effect)
            if (decided := self._decided.pop(id(event), None)) is not None:
                decided.set_result(None)
        due = next_deadline(self.state)
        if due != self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = due
            self._alarm = None if due is None else self._loop.call_at(due, self._ring)
        self.heartbeat.consider()

    def _ring(self) -> None:
        self._alarm = self._alarm_at = None
        self.post(Tick())

    def _now(self) -> Moment:
        return Moment(time.monotonic(), time.time())

    def snapshot(self, pools: frozenset[str] | None = None, samples: Mapping[str, Sample] | None = None) -> Snapshot:
        return snapshot(self.state, self._now(), self.identity, self.samples() if samples is None else samples, pools)

    def samples(self, pools: frozenset[str] | None = None) -> Mapping[str, Sample]:
        return {
            run: Sample(random.randrange(40_000_000, 90_000_000), round(random.uniform(0, 9), 1)) for run in self._pids
        }

    # -- the keeper --------------------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Spawn():
                self._pids[effect.run] = random.randrange(os.getpid(), 4_000_000)
                self.post(Spawned(effect.run, self._pids[effect.run], RELEASE))
                self.post(SaidReady(effect.run, Source.SOCKET))
            case Signal(run=run, signal=number) if number == TERM:
                self.post(Exited(run, 0, None))
            case KillTree():
                self.post(Exited(effect.run, None, KILL))
            case Forget():
                self._pids.pop(effect.run, None)
            case Announce():
                if effect.fact.kind is Kind.EPOCH_RAISED:
                    self.known[int(str(effect.fact.fields["epoch"]))] = time.monotonic()
                self.facts.tell(effect.fact)
            case _:
                pass

    def work(self, number: int) -> None:
        """Each worker ends a job and begins another one."""
        for run in list(self._pids):
            for meaning in (LineMeaning.DONE, LineMeaning.STARTED):
                job = f"{run[:8]}-{number - (meaning is LineMeaning.DONE)}"
                self.post(JobReported(run, meaning, Source.SOCKET, id=job, name="App\\Jobs\\TranscodeVideo"))
