from __future__ import annotations

from fleetd.core.chance import Chance
from fleetd.core.decide import decide
from fleetd.core.effects import Announce
from fleetd.core.events import Event, QueuesRead, Restored, SpecChanged
from fleetd.core.queues import Depth, Ended
from fleetd.core.records import Remembered
from fleetd.core.spec import BrokerSpec, FleetSpec, Launch, PoolSpec
from fleetd.core.state import Moment, State


def told(state: State, event: Event) -> list[str]:
    effects = decide(state, event, Moment(0.0, 0.0))
    return [effect.fact.kind for effect in effects if isinstance(effect, Announce)]


def test_a_broker_that_goes_and_comes_is_told_of_once_and_its_queues_are_unknown_meanwhile() -> None:
    state = State(Chance(1))
    pools = {name: PoolSpec(name, Launch(("w",)), broker=broker) for name, broker in (("a", "x"), ("b", "y"))}
    told(state, Restored(Remembered()))
    told(state, SpecChanged(FleetSpec(pools)))
    full = {"q": Depth(ready=3)}
    assert told(state, QueuesRead("x", {"a": full})) == []
    assert told(state, QueuesRead("y", {"b": full})) == []
    assert told(state, QueuesRead("x", error="refused")) == ["broker.lost"]
    assert told(state, QueuesRead("x", error="refused")) == []
    assert (state.pools["a"].depths, state.pools["b"].depths) == ({}, full)
    assert told(state, QueuesRead("x", {"a": full})) == ["broker.reached"]
    assert state.pools["a"].depths == full


def test_jobs_of_all_hosts_are_counted_apart_from_those_of_the_pool() -> None:
    state = State(Chance(1))
    told(state, Restored(Remembered()))
    told(state, SpecChanged(FleetSpec({"a": PoolSpec("a", Launch(("w",), queues=("q",)), broker="x")})))
    for ended in (None, (Ended(failed=False, runtime=2.0), Ended(failed=True)), ()):
        told(state, QueuesRead("x", {"a": {"q": Depth(ready=1, ended=ended)}}))
    assert state.pools["a"].flows["q"].tally == (1, 1)
    assert state.pools["a"].ledger.pool.is_empty


def test_what_was_read_elsewhere_is_forgotten_by_a_reload() -> None:
    state = State(Chance(1))
    told(state, Restored(Remembered()))
    old, new = BrokerSpec("x", "redis://old"), BrokerSpec("x", "redis://new")
    pools = {name: PoolSpec(name, Launch(("w",), queues=("q",)), broker="x") for name in ("a", "b", "gone")}
    told(state, SpecChanged(FleetSpec(pools, brokers={"x": old})))
    full = {"q": Depth(ready=3, ended=(Ended(failed=False),))}
    told(state, QueuesRead("x", dict.fromkeys(pools, full)))
    elsewhere = {"a": pools["a"], "b": PoolSpec("b", Launch(("w",), queues=("q",)))}
    told(state, SpecChanged(FleetSpec(elsewhere, brokers={"x": old})))
    known = {name: (bool(pool.depths), bool(pool.flows)) for name, pool in state.pools.items()}
    assert known == {"a": (True, True), "b": (False, False), "gone": (False, False)}
    told(state, SpecChanged(FleetSpec({"a": pools["a"]}, brokers={"x": new})))
    assert (state.pools["a"].depths, state.brokers) == ({}, {})
