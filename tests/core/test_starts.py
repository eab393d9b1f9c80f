"""Starts of workers are counted by what led to each."""

from __future__ import annotations

from fleetd.core.chance import Chance
from fleetd.core.decide import decide
from fleetd.core.effects import Spawn
from fleetd.core.events import (
    Event,
    Exited,
    MemorySampled,
    RestartRequested,
    Restored,
    Spawned,
    SpecChanged,
    StartRequested,
    StopRequested,
    Target,
    Tick,
)
from fleetd.core.records import Remembered
from fleetd.core.spec import FleetSpec, Launch, PoolSpec
from fleetd.core.state import Moment, State


class Host:
    """A pool of one worker, whose runs come up at once."""

    def __init__(self, **more: object) -> None:
        self.state, self.now, self.runs = State(Chance(1)), 1000.0, list[str]()
        self.tell(Restored(Remembered()))
        self.tell(SpecChanged(FleetSpec({"media": PoolSpec("media", Launch(("work",)), **more)})))  # type: ignore[arg-type]
        self.comes_up()

    def tell(self, event: Event) -> None:
        effects = decide(self.state, event, Moment(self.now, 1_790_000_000 + self.now))
        self.runs += [effect.run for effect in effects if isinstance(effect, Spawn)]

    def comes_up(self) -> None:
        self.tell(Spawned(self.runs[-1], 100 + len(self.runs), "/srv/r1"))
        self.passes(1.5)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick())

    @property
    def starts(self) -> dict[str, int]:
        return self.state.pools["media"].starts


def test_the_first_and_those_after_an_exit() -> None:
    host = Host()
    assert host.starts == {"first": 1}
    host.tell(Exited(host.runs[-1], 0, None))
    assert host.starts == {"first": 1, "exit": 1}
    host.comes_up()
    host.tell(Exited(host.runs[-1], None, 11))
    host.passes(5)
    assert host.starts == {"first": 1, "exit": 1, "signal": 1}


def test_one_that_is_to_take_the_place_of_another_counts_for_why_that_leaves() -> None:
    host = Host(max_memory=100)
    host.tell(MemorySampled({host.runs[-1]: 200}))
    assert host.starts == {"first": 1, "max-memory": 1}
    host.comes_up()
    host.tell(Exited(host.runs[0], 0, None))
    host.tell(RestartRequested(1, (Target("media"),)))
    assert host.starts == {"first": 1, "max-memory": 1, "restart": 1}


def test_a_start_after_a_stop() -> None:
    host = Host()
    host.tell(StopRequested((Target("media"),)))
    host.tell(Exited(host.runs[-1], 0, None))
    host.tell(StartRequested((Target("media"),)))
    assert host.starts == {"first": 1, "stop": 1}
