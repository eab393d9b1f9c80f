"""A host with alerts, in a world of simulated workers: what people are told, by whoever delivers it or does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from fleetd.core.alerts import MEANINGS, AlertSpec, Word
from fleetd.core.effects import Announce, Effect, Notify
from fleetd.core.events import AlertTold, SpecChanged
from fleetd.core.facts import Fact
from fleetd.core.incident import Message
from fleetd.core.queues import Place
from fleetd.core.spec import Backoff, BrokerSpec, FleetSpec, GiveUp, Launch, PoolSpec, Ready
from fleetd.core.state import Run
from tests.support.world import World

LONGEST_BACKOFF = 60.0
SETTLES = 200.0  # seconds after which a world in which all is well has nothing left to tell


def alert(word: Word, *, number: int = 1, **keys: Any) -> AlertSpec:
    """An alert with the word's own threshold and time, and a webhook."""
    meaning = MEANINGS[word]
    usual: dict[str, Any] = {"above": meaning.above, "lasting": meaning.lasting, "webhook": "http://h/secret"}
    return AlertSpec(id=f"{word}-{number}", on=word, **(usual | keys))


def spec(*alerts: AlertSpec, pools: Mapping[str, int] | None = None, **keys: Any) -> FleetSpec:
    """Pools whose workers say that they are ready, and whose queue `q` stands in the broker `x`."""
    usual: dict[str, Any] = {"ready": Ready.LINE, "backoff": Backoff(1.0, LONGEST_BACKOFF)} | keys
    usual |= {"broker": "x", "places": (Place("q", ("q",)),), "reports_jobs": True}
    found = {
        name: PoolSpec(name, Launch(("w",), queues=("q",)), numprocs=numprocs, **usual)
        for name, numprocs in (pools or {"media": 2}).items()
    }
    return FleetSpec(found, alerts=alerts, brokers={"x": BrokerSpec("x", "redis://h")})


GIVES_UP = {"give_up": GiveUp(3, 600.0)}


class AlertWorld(World):
    """Messages are delivered at once, unless `delivers` is False; `told` are those that were."""

    def __init__(self, of: FleetSpec, **keys: Any) -> None:
        self.delivers = True
        self.sending: list[Message] = []
        self.told: list[Message] = []
        self.facts: list[Fact] = []
        super().__init__(of, **keys)
        self.let_each_act()
        self.wait(2)

    def step(self, event: Any, *, saves: bool = True) -> list[Effect]:
        effects = super().step(event, saves=saves)
        while self.delivers and self.sending:
            self.deliver()
        return effects

    def _perform(self, effect: Effect, *, saves: bool) -> None:
        if isinstance(effect, Notify):
            assert not any(each.key == effect.message.key for each in self.sending), "the one before is on its way"
            self.sending.append(effect.message)
        elif isinstance(effect, Announce):
            self.facts.append(effect.fact)
        super()._perform(effect, saves=saves)

    def deliver(self) -> None:
        """The oldest message arrives, and the daemon hears of it."""
        message = self.sending.pop(0)
        self.told.append(message)
        super().step(AlertTold(message.key, message.told))

    def die(self) -> None:
        """SIGKILL to the daemon, and another one; what was on its way is lost."""
        self.sending.clear()
        self.die_and_start_again(intents_lost=False)

    def reload(self, of: FleetSpec) -> None:
        self.spec = of
        self.step(SpecChanged(of))

    def states(self) -> list[str]:
        """What people were told, in order."""
        return [message.told.value for message in self.told]

    def kinds(self, start: str = "alert.") -> list[str]:
        return [fact.kind.value for fact in self.facts if fact.kind.startswith(start)]

    def run(self, worker: str = "media:0") -> Run:
        pool, _, index = worker.rpartition(":")
        run = self.state.pools[pool].slots[int(index)].run
        assert run is not None
        return run

    def fail(self, *workers: str, times: int = 5) -> None:
        """Workers crash so often in a row, each as soon as it is started again."""
        for _ in range(times):
            for worker in workers or ("media:0",):
                self.come_up()
                self.exit(self.run(worker).id, 1)
                self.wait(LONGEST_BACKOFF)

    def come_up(self) -> None:
        """Every worker that was ordered starts, and is not healthy yet."""
        for run in list(self.ordered):
            self.answer_spawn(run)

    def mend(self, seconds: float = SETTLES) -> None:
        """All workers come up and live on."""
        for _ in range(int(seconds / 10)):
            self.let_each_act()
            self.wait(10)


def without(of: FleetSpec, *pools: str) -> FleetSpec:
    return replace(of, pools={name: pool for name, pool in of.pools.items() if name not in pools})
