"""A fleet in the core's world: several hosts with simulated workers, one coordinator in memory, and one virtual time.

Beats are the real ones; cuts, floods of time, dying daemons and an emptied coordinator are what a test makes of them.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from itertools import count
from typing import TypeVar

from msgspec.structs import replace

from fleetd.coordination.beats import compose, observed
from fleetd.coordination.local import LocalCoordinator
from fleetd.coordination.local_fleet import LocalFleet
from fleetd.coordination.port import Intent, Request, Rollout, Scope
from fleetd.core.decide import decide
from fleetd.core.effects import Announce
from fleetd.core.events import FleetLost, FleetObserved
from fleetd.core.facts import Fact, Kind
from fleetd.core.membership import Membership
from fleetd.core.records import Remembered
from fleetd.core.spec import Amount, FleetSpec, Launch, MemberSpec, PoolSpec, Ready
from fleetd.core.state import Moment, Run
from tests.support.world import UNIX, World

T = TypeVar("T")
ALL = Amount(share=1.0)
BEAT = 2.0
STEP = 0.25
BROKEN = "/releases/broken"


def answered(step: Coroutine[object, None, T]) -> T:
    """What a step of the coordinator in memory answers: it never waits."""
    try:
        step.send(None)
    except StopIteration as stop:
        answer: T = stop.value
        return answer
    raise AssertionError("a step of the coordinator in memory waited")


class Host(World):
    """One host of the fleet."""

    def __init__(self, fleet: FleetWorld, name: str, spec: FleetSpec, *, reachable: bool = True) -> None:
        self.fleet = fleet
        self.name = name
        self.facts: list[tuple[float, Fact]] = []
        self.reachable = reachable
        self.beat_at = 0.0
        super().__init__(spec, membership=self._membership, meet=self._meet, now=fleet.now)
        self.broken = frozenset({BROKEN})

    def _membership(self) -> Membership:
        assert self.spec.member is not None
        return Membership(self.spec.member.fleet, self.name, f"{self.name}/app", "machine-of-" + self.name)

    def _meet(self, _world: World) -> None:
        """The first beat of a daemon: its runs are not taken over yet, so that there is nothing to check."""
        event = self._beat_event()
        for effect in decide(self.state, event, Moment(self.now, UNIX + self.now)):
            self._perform(effect, saves=True)

    def _perform(self, effect: object, *, saves: bool) -> None:
        if isinstance(effect, Announce):
            self.facts.append((self.now, effect.fact))
        super()._perform(effect, saves=saves)  # type: ignore[arg-type]

    def _beat_event(self) -> FleetObserved | FleetLost:
        self.beat_at = self.now
        if not self.reachable:
            return FleetLost("cut")
        seen = answered(LocalCoordinator(self.fleet.memory).beat(compose(self.state, self.spec, "id-of-" + self.name)))
        return observed(seen, self.now)

    def beat(self) -> None:
        self.step(self._beat_event())

    def reboot(self, *, state_is_lost: bool = False) -> None:
        """The host loses every process, and starts its daemon."""
        self.ordered.clear()
        self.workers.clear()
        self.journal.clear()
        if state_is_lost:
            self.disk = Remembered()
        self.die_and_start_again(intents_lost=True)

    def stop_and_start(self) -> None:
        """`fleetd stop`, and after a while `fleetd start`."""
        self.shut_down()
        assert self.finished
        self.finished = False
        self.reboot()

    # -- looking -----------------------------------------------------------------------------------------------------

    def runs(self, pool: str = "media") -> list[Run]:
        """The runs that take jobs."""
        return [slot.run for slot in self.state.pools[pool].slots.values() if slot.run is not None and slot.takes_jobs]

    def epochs(self, pool: str = "media") -> set[int | None]:
        return {run.release.epoch for run in self.runs(pool)}

    def starts(self, pool: str = "media") -> list[int]:
        return [slot.starts for slot in self.state.pools[pool].slots.values()]

    def directories(self, pool: str = "media") -> set[str | None]:
        return {run.directory for run in self.runs(pool)}

    def is_rolling(self) -> bool:
        return self.state.fleet is not None and self.state.fleet.has_turn(self.now)

    def kinds(self) -> list[Kind]:
        return [fact.kind for _, fact in self.facts]


class FleetWorld:
    """The hosts, what they meet in, and the time."""

    def __init__(self, pools: Mapping[str, int] | None = None, *, max_parallel: Amount = ALL) -> None:
        self.now = 1000.0
        self.memory = LocalFleet(lambda: UNIX + self.now)
        self.hosts: dict[str, Host] = {}
        self.most_rolling = 0
        self._ids = count()
        specs = {
            name: PoolSpec(name, Launch(("w",)), numprocs=numprocs, ready=Ready.LINE, healthy_after=1.0)
            for name, numprocs in (pools or {"media": 2}).items()
        }
        self.spec = FleetSpec(specs, member=MemberSpec("acme", "redis://h", max_parallel))

    def add(self, *names: str, reachable: bool = True) -> None:
        for name in names:
            self.hosts[name] = Host(self, name, replace(self.spec, host=name), reachable=reachable)
        self.advance(4)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def advance(self, seconds: float) -> None:
        """Time passes everywhere: workers act, and hosts beat when it is time or when a rollout is concerned."""
        until = self.now + seconds
        while self.now < until:
            self.now += STEP
            for host in self.hosts.values():
                host.wait(STEP)
                host.let_each_act()
                if self.now >= host.beat_at + BEAT:
                    host.beat()
            self.most_rolling = max(self.most_rolling, sum(host.is_rolling() for host in self.hosts.values()))

    def deploy(self, directory: str, *hosts: str) -> None:
        """Switch the symlink on some hosts, or all."""
        for name in hosts or self.hosts:
            self.hosts[name].directory = directory

    def request(
        self, *, hosts: tuple[str, ...] | None = None, pools: tuple[str, ...] | None = None, most: int | None = None
    ) -> Rollout:
        """`fleetd restart`, as far as the coordinator sees it."""
        rollout = self.try_request(hosts=hosts, pools=pools, most=most)
        assert rollout is not None
        return rollout

    def try_request(
        self, *, hosts: tuple[str, ...] | None = None, pools: tuple[str, ...] | None = None, most: int | None = None
    ) -> Rollout | None:
        """The same; None where no live member is meant."""
        request = Request(f"r{next(self._ids)}", Intent("test", "v2", Scope(hosts, pools)), most)
        return answered(self.coordinator().request(request))

    def rollout(self, epoch: int) -> Rollout:
        return next(each for each in answered(LocalCoordinator(self.memory).rollouts()) if each.epoch == epoch)

    def coordinator(self) -> LocalCoordinator:
        return LocalCoordinator(self.memory)
