"""The life of an incident: both ends are told once, whatever becomes of messages, daemons and the fleet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from fleetd.coordination.beats import compose
from fleetd.coordination.local_incidents import Entry
from fleetd.coordination.port import GATHER, HOLD
from fleetd.core.alerts import MEANINGS, Word, built_in
from fleetd.core.effects import Notify
from fleetd.core.events import AlertTold, QueuesRead
from fleetd.core.incident import Incident, Message, Subject, Told
from fleetd.core.incidents import AWAY, MOST_INHERITED, MOST_NEWS, RESTORED, said
from fleetd.core.queues import Depth
from fleetd.core.spec import FleetSpec
from tests.support.alert_world import SETTLES, AlertWorld, alert, spec
from tests.support.fleet_world import FleetWorld, Host, answered
from tests.support.world import UNIX


def lost(world: AlertWorld, *, is_lost: bool = True) -> None:
    """The broker cannot be read, or can."""
    depths = {"media": {"q": Depth(ready=0)}}
    world.step(QueuesRead("x", error="refused") if is_lost else QueuesRead("x", depths))


def world(**keys: Any) -> AlertWorld:
    return AlertWorld(spec(alert(Word.BROKER_LOST, **({"lasting": 0.0} | keys))))


def test_every_word_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Word)


def test_what_is_built_in_is_no_alert_of_a_file() -> None:
    ids = {each.id for each in built_in()}
    assert len(ids) == len(built_in())
    assert not any(re.match(r"[0-9a-f]{12}", each) for each in ids)
    assert not any(each.is_told for each in built_in())


def test_what_goes_and_comes_is_one_incident() -> None:
    flapping = world()
    for _ in range(20):
        lost(flapping)
        flapping.wait(5)
        lost(flapping, is_lost=False)
        flapping.wait(50)
    assert flapping.states() == ["opened"]
    flapping.wait(60)
    assert flapping.states() == ["opened", "recovered"]
    assert flapping.told[1].count == 20
    assert flapping.told[1].ended == UNIX + 1002 + 20 * 55 - 50


def test_the_next_one_is_another() -> None:
    again = world()
    for _ in range(2):
        lost(again)
        lost(again, is_lost=False)
        again.wait(100)
    assert again.states() == ["opened", "recovered"] * 2
    assert again.kinds() == ["alert.opened", "alert.recovered"] * 2


def test_ends_are_told_in_order_also_where_the_first_is_slow() -> None:
    slow = world()
    slow.delivers = False
    lost(slow)
    lost(slow, is_lost=False)
    slow.wait(1000)
    assert [message.told for message in slow.sending] == ["opened"]
    slow.deliver()
    assert [message.told for message in slow.sending] == ["recovered"]
    lost(slow)
    slow.deliver()
    assert [message.told for message in slow.sending] == ["opened"], "it began anew meanwhile"
    slow.deliver()
    assert slow.states() == ["opened", "recovered", "opened"]


def test_what_was_not_delivered_is_told_by_the_next_daemon_and_announced_once() -> None:
    dying = world()
    dying.delivers = False
    lost(dying)
    begun = dying.sending[0].begun
    dying.wait(7)
    dying.die()
    assert [message.begun for message in dying.sending] == [begun], "since when it was tried is remembered"
    dying.deliver()
    dying.die()
    assert dying.sending == []
    lost(dying)
    dying.wait(1000)
    assert dying.states() == ["opened"]
    assert dying.kinds() == ["alert.opened"]


def test_what_is_over_when_the_next_daemon_looks_is_told_to_be() -> None:
    dying = world(recover_after=0.0)
    lost(dying)
    dying.die()
    dying.wait(RESTORED - 1)
    assert dying.states() == ["opened"], "it has to look first"
    dying.wait(1)
    assert dying.states() == ["opened", "recovered"]


def test_an_answer_about_something_else_changes_nothing() -> None:
    one = world()
    one.delivers = False
    lost(one)
    key = one.sending[0].key
    one.step(AlertTold("other", Told.OPENED))
    one.step(AlertTold(key, Told.RECOVERED))
    (incident,) = (each for each in one.state.alerts.incidents.values() if each.key == key)
    assert incident.told is Told.NOTHING
    one.step(AlertTold(key, Told.OPENED))
    assert incident.told is Told.OPENED


def test_what_is_on_no_file_of_this_daemon_is_forgotten() -> None:
    other = world()
    lost(other)
    other.spec = replace(other.spec, alerts=())
    other.die()
    assert other.state.alerts.incidents == {}


@pytest.mark.parametrize("detail", [None, "q", "a queue with spaces "])
def test_a_key_names_what_it_is_about(detail: str | None) -> None:
    subject = Subject(Word.LONG_WAIT, "media", detail)
    incident = Incident(alert(Word.LONG_WAIT), subject, 0.0)
    assert incident.key.split(" ", 3)[1:] == ["long-wait", "media", *([] if detail is None else [detail])]


# -- one host, anything in any order ---------------------------------------------------------------------------------


class AnyHistory(RuleBasedStateMachine):
    """Workers crash, daemons die, messages are late: nothing is told twice, and nothing is left open."""

    def __init__(self) -> None:
        super().__init__()
        words = (Word.CRASH_LOOP, Word.POOL_DEGRADED, Word.BROKER_LOST, Word.LONG_WAIT)
        self.world = AlertWorld(spec(*(alert(word) for word in words), pools={"media": 2, "mail": 1}))

    @rule(worker=st.sampled_from(["media:0", "media:1", "mail:0"]), times=st.integers(1, 6))
    def crash(self, worker: str, times: int) -> None:
        for _ in range(times):
            self.world.come_up()
            pool, _, index = worker.rpartition(":")
            if (run := self.world.state.pools[pool].slots[int(index)].run) is not None and run.id in self.world.workers:
                self.world.exit(run.id, 1)
            self.world.wait(5)

    @rule(seconds=st.sampled_from([1, 30, 61, 130]))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(seconds=st.sampled_from([10, 100]))
    def mend(self, seconds: int) -> None:
        self.world.mend(seconds)

    @rule(seconds=st.sampled_from([None, 0, 100]))
    def read(self, seconds: int | None) -> None:
        at = None if seconds is None else UNIX + self.world.now - seconds
        self.world.step(QueuesRead("x", {"media": {"q": Depth(ready=1, oldest_at=at)}}))

    @rule()
    def lose(self) -> None:
        lost(self.world)

    @rule(delivers=st.booleans())
    def receive(self, *, delivers: bool) -> None:
        self.world.delivers = delivers
        while delivers and self.world.sending:
            self.world.deliver()

    @rule()
    @precondition(lambda self: not self.world.sending)
    def die(self) -> None:
        self.world.die()

    def teardown(self) -> None:
        self.receive(delivers=True)
        self.mend(100)
        self.read(0)
        self.mend(int(SETTLES) + 100)
        by_key: dict[str, list[str]] = {}
        for message in self.world.told:
            by_key.setdefault(message.key, []).append(message.told)
        for key, told in by_key.items():
            assert told == ["opened", "recovered"] * (len(told) // 2), key
        assert self.world.state.alerts.incidents == {}


def test_nothing_is_told_twice_and_nothing_is_left_open() -> None:
    run_state_machine_as_test(AnyHistory, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))  # type: ignore[no-untyped-call]


# -- fleets ----------------------------------------------------------------------------------------------------------


class AlertHost(Host):
    """A host of the fleet; messages are delivered at once, unless its `delivers` is False."""

    def __init__(self, *arguments: Any, **keys: Any) -> None:
        self.delivers = True
        self.sending: list[Message] = []
        self.told: list[Message] = []
        super().__init__(*arguments, **keys)

    def _perform(self, effect: object, *, saves: bool) -> None:
        if isinstance(effect, Notify):
            self.sending.append(effect.message)
        super()._perform(effect, saves=saves)

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        while self.delivers and self.sending:
            message = self.sending.pop(0)
            self.told.append(message)
            self.step(AlertTold(message.key, message.told))

    def die(self) -> None:
        self.sending.clear()
        self.die_and_start_again(intents_lost=False)


class AlertFleet(FleetWorld):
    def __init__(self, of: FleetSpec, *names: str) -> None:
        super().__init__()
        self.spec = replace(of, member=self.spec.member)
        for name in names:
            self.hosts[name] = AlertHost(self, name, replace(self.spec, host=name))
        self.advance(4)

    def lose(self, *names: str, is_lost: bool = True) -> None:
        for name in names:
            event = QueuesRead("x", error="refused") if is_lost else QueuesRead("x", {"media": {"q": Depth(ready=0)}})
            self.hosts[name].step(event)

    def of(self, name: str) -> AlertHost:
        host = self.hosts[name]
        assert isinstance(host, AlertHost)
        return host

    @property
    def told(self) -> list[tuple[str, tuple[str, ...]]]:
        """What people were told, in order, and the hosts that were named."""
        all_told = [message for name in self.hosts for message in self.of(name).told]
        in_order = sorted(all_told, key=lambda message: message.begun)
        return [(m.told.value, tuple(host.partition("/")[0] for host in m.hosts)) for m in in_order]

    @contextmanager
    def cut(self, *names: str) -> Iterator[None]:
        for name in names or self.hosts:
            self.hosts[name].reachable = False
        yield
        for name in names or self.hosts:
            self.hosts[name].reachable = True


def fleet(*names: str, word: Word = Word.BROKER_LOST, **keys: Any) -> AlertFleet:
    return AlertFleet(spec(alert(word, **({"lasting": 0.0, "recover_after": 10.0} | keys))), *names)


ALL = ("a", "b", "c")


def test_hosts_that_have_it_are_one_incident() -> None:
    hosts = fleet(*ALL)
    hosts.lose("a")
    hosts.advance(GATHER / 2)
    hosts.lose("b")
    hosts.advance(20)
    assert hosts.told == [("opened", ("a", "b"))]
    hosts.lose("c")
    hosts.lose("a", is_lost=False)
    hosts.advance(30)
    hosts.lose("b", is_lost=False)
    hosts.advance(30)
    assert len(hosts.told) == 1, "c has it still"
    hosts.lose("c", is_lost=False)
    hosts.advance(30)
    assert hosts.told == [("opened", ("a", "b")), ("recovered", ALL)]
    assert [len(host.state.alerts.incidents) for host in hosts.hosts.values()] == [0, 0, 0]
    kinds = [fact.kind for host in hosts.hosts.values() for _, fact in host.facts if fact.kind.startswith("alert.")]
    assert sorted(kinds) == ["alert.opened", "alert.recovered"]


def test_a_host_that_cannot_deliver_and_dies_is_followed_by_another() -> None:
    hosts = fleet(*ALL)
    for name in ALL:
        hosts.of(name).delivers = False
    hosts.lose(*ALL)
    hosts.advance(20)
    (teller,) = [name for name in ALL if hosts.of(name).sending]
    for name in ALL:
        hosts.of(name).delivers = True
    hosts.of(teller).delivers = False
    gone = hosts.hosts.pop(teller)
    hosts.advance(20)
    assert [told for told, _ in hosts.told] == ["opened"]
    hosts.hosts[teller] = gone
    hosts.of(teller).die()
    hosts.lose(*ALL)
    hosts.advance(60)
    hosts.lose(*ALL, is_lost=False)
    hosts.advance(100)
    assert [told for told, _ in hosts.told] == ["opened"], "the end is for the one that cannot deliver"
    hosts.of(teller).delivers = True
    hosts.advance(10)
    assert [told for told, _ in hosts.told] == ["opened", "recovered"]


def test_without_the_fleet_each_tells_its_own_and_the_end_is_told_once_it_is_back() -> None:
    hosts = fleet(*ALL)
    with hosts.cut():
        hosts.advance(4)
        hosts.lose("a", "b")
        hosts.advance(AWAY / 2)
        assert hosts.told == [], "it may only be a moment"
        hosts.advance(AWAY)
        assert sorted(hosts.told) == [("opened", ("a",)), ("opened", ("b",))]
    hosts.advance(4)
    hosts.lose("c")
    hosts.advance(30)
    assert len(hosts.told) == 2, "c hears that it is told"
    hosts.lose(*ALL, is_lost=False)
    hosts.advance(60)
    assert hosts.told[2:] == [("recovered", ALL)]


def test_the_end_of_what_a_host_has_told_is_told_without_the_fleet_too() -> None:
    hosts = fleet(*ALL)
    with hosts.cut():
        hosts.lose("a")
        hosts.advance(30)
        hosts.lose("a", is_lost=False)
        hosts.advance(30)
        assert hosts.told == [("opened", ("a",)), ("recovered", ("a",))]
    hosts.advance(60)
    assert len(hosts.told) == 2
    assert hosts.of("a").state.alerts.incidents == {}


def test_a_lost_redis_is_told_by_each_host_and_its_end_by_one() -> None:
    hosts = fleet(*ALL, word=Word.REDIS_LOST, lasting=5.0)
    with hosts.cut():
        hosts.advance(60)
    assert sorted(hosts.told) == [("opened", (name,)) for name in ALL]
    hosts.advance(100)
    assert hosts.told[3:] == [("recovered", ALL)]
    with hosts.cut():
        hosts.advance(4)
    hosts.advance(100)
    assert len(hosts.told) == 4, "a moment is not worth it"


def test_a_name_that_another_daemon_has_is_told_by_who_is_no_member() -> None:
    hosts = fleet(*ALL, word=Word.NAME_TAKEN, lasting=5.0)
    another = compose(hosts.of("a").state, hosts.of("a").spec, "id-of-another")

    def held(seconds: float) -> None:
        for _ in range(int(seconds)):
            answered(hosts.coordinator().beat(another))
            hosts.advance(1)

    with hosts.cut("a"):
        hosts.advance(15)
        answered(hosts.coordinator().beat(another))
    held(4)
    assert hosts.told == [], "a moment is not worth it"
    held(60)
    assert hosts.told == [("opened", ("a",))]
    hosts.advance(60)
    assert hosts.told[1:] == [("recovered", ("a",))]
    assert [len(host.state.alerts.incidents) for host in hosts.hosts.values()] == [0, 0, 0]


def test_the_memory_of_the_fleet_may_be_lost() -> None:
    hosts = fleet(*ALL)
    hosts.lose("a", "b")
    hosts.advance(20)
    hosts.memory.flush()
    hosts.advance(20)
    hosts.lose("a", "b", is_lost=False)
    hosts.advance(60)
    assert [told for told, _ in hosts.told] == ["opened", "recovered"]


def test_what_a_host_leaves_that_never_comes_back_is_over_after_a_while() -> None:
    hosts = fleet(*ALL)
    hosts.lose("a")
    hosts.advance(20)
    gone = hosts.hosts.pop("a")
    assert isinstance(gone, AlertHost)
    assert [message.told for message in gone.told] == ["opened"]
    hosts.advance(HOLD - 20)
    assert hosts.told == []
    hosts.advance(60)
    assert hosts.told == [("recovered", ("a",))]
    assert [len(host.state.alerts.incidents) for host in hosts.hosts.values()] == [0, 0]


def test_one_that_begins_while_its_end_is_told_begins_anew() -> None:
    hosts = fleet("a")
    hosts.lose("a")
    hosts.advance(10)
    hosts.of("a").delivers = False
    hosts.lose("a", is_lost=False)
    hosts.advance(30)
    hosts.lose("a")
    hosts.of("a").delivers = True
    hosts.advance(20)
    assert [told for told, _ in hosts.told] == ["opened", "recovered", "opened"]


def test_a_release_that_is_broken_on_all_hosts_is_one_incident() -> None:
    hosts = fleet(*ALL, word=Word.ROLLOUT_HALTED)
    for host in hosts.hosts.values():
        host.broken = frozenset({"/releases/2"})
    hosts.advance(10)
    hosts.deploy("/releases/2")
    epoch = hosts.request().epoch
    hosts.advance(60)
    ((told, named),) = hosts.told
    assert (told, named) == ("opened", ALL)
    message = next(message for name in ALL for message in hosts.of(name).told)
    assert (message.epoch, message.pool) == (epoch, None)
    hosts.deploy("/releases/3")
    hosts.request()
    hosts.advance(120)
    assert [told for told, _ in hosts.told] == ["opened", "recovered"]


def test_a_beat_does_not_grow_with_what_is_known() -> None:
    alerts = tuple(alert(Word.BROKER_LOST, number=number, lasting=0.0) for number in range(150))
    hosts = AlertFleet(spec(*alerts), "a", "b")
    hosts.lose("a")
    assert len(said(hosts["a"].state)) == MOST_NEWS
    hosts.advance(30)
    assert len(hosts.told) == 150
    assert len(said(hosts["a"].state)) == 2
    hosts.advance(HOLD + 60)
    assert len(hosts.told) == 150, "each is confirmed before it is taken for gone"
    hosts.lose("a", is_lost=False)
    hosts.advance(150)
    assert [told for told, _ in hosts.told] == ["opened"] * 150 + ["recovered"] * 150


@pytest.mark.parametrize("first", ["a", "b"])
def test_what_a_host_has_is_not_over_because_the_fleet_was_out_of_reach_for_long(first: str) -> None:
    alerts = tuple(alert(Word.BROKER_LOST, number=number, lasting=0.0) for number in range(10))
    hosts = AlertFleet(spec(*alerts), "a", "b")
    hosts.lose("a", "b")
    hosts.advance(60)
    hosts.lose("b", is_lost=False)
    hosts.advance(HOLD / 5)
    assert [state for state, _ in hosts.told] == ["opened"] * 10
    with hosts.cut():
        hosts.advance(1.1 * HOLD)
        hosts.hosts[first].reachable = True
        hosts.advance(10)
    hosts.advance(HOLD)
    assert [state for state, _ in hosts.told] == ["opened"] * 10
    hosts.lose("a", is_lost=False)
    hosts.advance(HOLD)
    assert [state for state, _ in hosts.told] == ["opened"] * 10 + ["recovered"] * 10


def test_what_is_over_here_and_not_elsewhere_holds_up_nothing() -> None:
    many = tuple(alert(Word.BROKER_LOST, number=number, lasting=0.0) for number in range(MOST_NEWS + 10))
    hosts = AlertFleet(spec(*many, alert(Word.LONG_WAIT)), "a", "b")
    hosts.lose("a", "b")
    hosts.advance(60)
    hosts.lose("a", is_lost=False)
    hosts.advance(150)
    told_before = len(hosts.told)
    depth = Depth(ready=1, oldest_at=UNIX + hosts.now - 1000)
    hosts.hosts["a"].step(QueuesRead("x", {"media": {"q": depth}}))
    hosts.advance(30)
    assert hosts.told[told_before:] == [("opened", ("a",))]


def test_an_end_that_the_fleet_was_to_know_of_blocks_nothing_once_there_is_no_fleet() -> None:
    hosts = fleet("a", "b")
    hosts.lose("a")
    hosts.advance(30)
    hosts.lose("a", is_lost=False)
    with hosts.cut():
        hosts.advance(60)
        (memory,) = hosts.of("a").state.alerts.memory()
        assert memory.told == "recovered"
    alone = world()
    alone.state.alerts.remembered = (memory,)
    alone.reload(alone.spec)
    lost(alone)
    assert alone.states() == ["opened"]


JUNK = (
    "", "junk", "a b", "broker-lost-1", "broker-lost-1 broker-lost", "broker-lost-1 broker-lost -",
    "broker-lost-1 broker-lost media x", "broker-lost-1 broker-lost - y", "broker-lost-1 given-up media",
    "crash-loop-1 crash-loop -", "crash-loop-1 crash-loop gone", "crash-loop-1 crash-loop media q",
    "job-failures-1 job-failures media q\x1b[2J", "long-wait-1 long-wait media nobodys", "long-wait-1 long-wait media",
    "rollout-halted-1 rollout-halted - x", "rollout-halted-1 rollout-halted -",
    f"rollout-halted-1 rollout-halted - {'9' * 5000}", " long-wait media q", "no-such-1 crash-loop media",
)  # fmt: skip


def test_what_no_file_of_this_host_names_is_left_to_others() -> None:
    words = (Word.BROKER_LOST, Word.CRASH_LOOP, Word.JOB_FAILURES, Word.LONG_WAIT, Word.ROLLOUT_HALTED)
    hosts = AlertFleet(spec(*map(alert, words)), "a")
    for key in JUNK:
        hosts.memory.incidents[key] = Entry(UNIX + hosts.now, told=Told.OPENED, quiet_at=UNIX + hosts.now)
    hosts.advance(30)
    assert hosts.told == []
    assert hosts.of("a").state.alerts.incidents == {}


def test_no_more_is_inherited_than_can_be_told_soon() -> None:
    hosts = AlertFleet(spec(alert(Word.ROLLOUT_HALTED)), "a")
    hosts.of("a").delivers = False
    for epoch in range(2 * MOST_INHERITED):
        key = f"rollout-halted-1 rollout-halted - {epoch}"
        hosts.memory.incidents[key] = Entry(UNIX + hosts.now, told=Told.OPENED, quiet_at=UNIX + hosts.now)
    hosts.advance(30)
    assert len(hosts.of("a").state.alerts.incidents) == MOST_INHERITED
    hosts.of("a").delivers = True
    hosts.advance(30)
    assert [state for state, _ in hosts.told] == ["recovered"] * 2 * MOST_INHERITED


class AnyFleet(RuleBasedStateMachine):
    """Hosts lose their broker, are cut off and come back; daemons die between messages: both ends are told."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = fleet(*ALL)

    @rule(names=st.sets(st.sampled_from(ALL), min_size=1), is_lost=st.booleans())
    def lose(self, names: set[str], *, is_lost: bool) -> None:
        self.fleet.lose(*sorted(names), is_lost=is_lost)

    @rule(seconds=st.sampled_from([1, 8, 30]))
    def wait(self, seconds: int) -> None:
        self.fleet.advance(seconds)

    @rule(name=st.sampled_from(ALL))
    def die(self, name: str) -> None:
        if not self.fleet.of(name).sending:
            self.fleet.of(name).die()

    def teardown(self) -> None:
        self.fleet.lose(*ALL, is_lost=False)
        self.fleet.advance(150)
        told = [what for what, _ in self.fleet.told]
        assert told == ["opened", "recovered"] * (len(told) // 2)
        assert [len(host.state.alerts.incidents) for host in self.fleet.hosts.values()] == [0, 0, 0]


def test_one_of_any_hosts_tells() -> None:
    run_state_machine_as_test(AnyFleet, settings=settings(max_examples=8, stateful_step_count=12, deadline=None))  # type: ignore[no-untyped-call]


def test_events_are_told_by_each_host() -> None:
    hosts = fleet("a", "b")
    for host in hosts.hosts.values():
        host.step(QueuesRead("x", {"media": {"q": Depth(ready=1, oldest_at=UNIX + host.now - 100)}}))
    kinds = [fact.kind for host in hosts.hosts.values() for _, fact in host.facts]
    assert kinds.count("queue.long-wait") == 2  # type: ignore[arg-type]
