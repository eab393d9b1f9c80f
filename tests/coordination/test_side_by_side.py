"""Any steps in any order: the coordinator in memory and the one on Redis answer alike, and keep what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fleetd.coordination.local import LocalCoordinator
from fleetd.coordination.local_fleet import LocalFleet
from fleetd.coordination.port import (
    GATHER,
    HOLD,
    LEASE,
    Held,
    HostProgress,
    HostState,
    Intent,
    Report,
    RollError,
    Rollout,
    RolloutState,
    Told,
)
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount
from fleetd.errors import FleetdError
from tests.support.coordination import FleetUnderTest, LocalWorld, RedisWorld, redis_fleet
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.redis

TIMES = {"clock", "at", "ended", "lease_until", "last_seen", "position"}
KEYS = ("", "pool:media", "host:a", "host:a:pool:media")
SCOPES = (Scope(), Scope(hosts=("a",)), Scope(hosts=("a", "b")), Scope(pools=("media",)), Scope(("a",), ("media",)))

members = st.sampled_from(["a/x", "a/y", "b/x", "c/x"])
scopes = st.sampled_from(SCOPES)
rollouts = st.integers(0, 5)  # the nth last, or one that nobody knows
pauses = st.sets(st.sampled_from(["host:a", "pool:media", "host:a:pool:media"])).map(
    lambda chosen: tuple(sorted(chosen))
)
progresses = st.builds(
    HostProgress,
    st.sampled_from([HostState.WAITING, HostState.ROLLING, HostState.DONE, HostState.DONE, HostState.HALTED]),
    total=st.integers(0, 9),
    error=st.none() | st.builds(RollError, st.just("media:0"), st.just("exit"), st.sampled_from([(), ("a",)])),
    longest_drain=st.sampled_from([0.0, 1.5]),
    resumes=st.integers(0, 2),
)


class LocalTwin(LocalWorld):
    """The memory of the local one, on the clock of the other."""

    def __init__(self, other: RedisWorld) -> None:
        self.other = other
        self.fleet = LocalFleet(self.clock)

    def clock(self) -> float:
        self.now = self.other.clock()
        return self.now


def plain(value: object) -> Any:
    """An answer without what differs from clock to clock: of times only whether there is one."""
    if isinstance(value, dict):
        return {key: part is not None if key in TIMES else plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (str, int, float, type(None))):
        return value
    return plain(msgspec.to_builtins(value, order="deterministic"))


class SideBySide(RuleBasedStateMachine):
    server: RedisServer

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        redis = self.stack.enter_context(redis_fleet(self.server))
        assert isinstance(redis.world, RedisWorld)
        twin = LocalTwin(redis.world)
        self.both = (FleetUnderTest(redis.runner, LocalCoordinator(twin.fleet), twin), redis)
        self.ahead = int(redis.world.clock()) + 1_000
        self.known: list[tuple[Rollout, Rollout]] = []
        self.lives = [("", "")]  # incarnations, as each of both had them
        self.number = 0
        self.no_clock_seconds()

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    def no_clock_seconds(self) -> None:
        """The next epoch is one more than the last: the two do not read the clock at the same instant."""
        self.ahead += 100
        for fleet in self.both:
            fleet.world.write_epoch("last", str(self.ahead))

    def alike(self, steps: Iterator[Any]) -> tuple[Any, Any]:
        """What both answer, which must be the same."""
        local, redis = [self.outcome(step) for step in steps]
        assert plain(local) == plain(redis)
        return local, redis

    @staticmethod
    def outcome(step: Any) -> Any:
        try:
            return step()
        except FleetdError as error:
            return str(error).removeprefix("Redis: ")

    def epoch(self, nth: int) -> int:
        return self.known[-1 - nth][0].epoch if nth < len(self.known) else 4_000 + nth

    @rule(
        member=members,
        is_other=st.sampled_from([False, False, False, True]),
        pools=st.sampled_from([("mail", "media"), ("media",), ()]),
        amount=st.sampled_from([Amount(1), Amount(2), Amount(share=0.5), Amount(share=1.0)]),
        has_status=st.booleans(),
        known=st.dictionaries(st.sampled_from(KEYS), rollouts | st.none(), max_size=3),
        reports=st.dictionaries(rollouts, progresses, max_size=3),
        wants=st.sets(rollouts, max_size=3),
        paused=pauses,
        life=st.integers(0, 2),
        events=st.integers(0, 2),
        scope=scopes,
        incidents=st.dictionaries(st.sampled_from("kl"), st.tuples(st.booleans(), st.sampled_from(Told)), max_size=2),
    )
    def beat(self, member: str, *, is_other: bool, has_status: bool, life: int, events: int, **said: Any) -> None:
        self.number += 1
        intent = Intent(who=member, scope=said["scope"])
        fields: dict[str, Any] = {
            "id": "other" if is_other else f"id of {member}",
            "pools": said["pools"],
            "max_parallel_hosts": said["amount"],
            "status": b'{"n":%d}' % self.number if has_status else None,
            "epochs": {key: 0 if nth is None else self.epoch(nth) for key, nth in said["known"].items()},
            "reports": {self.epoch(nth): Report(intent, told) for nth, told in said["reports"].items()},
            "wants_turn": tuple(self.epoch(nth) for nth in sorted(said["wants"])),
            "paused": said["paused"],
            "incidents": tuple(Held(key, *held) for key, held in said["incidents"].items()),
            "has_alerts": has_status,
            "events": tuple(b'{"n":%d}' % self.number for _ in range(events)),
        }
        lives = self.lives[-1 - life] if life < len(self.lives) else ("odd", "odd")
        seen = [fleet.beat(member, **fields, incarnation=mine) for fleet, mine in zip(self.both, lives, strict=True)]
        local, redis = [msgspec.structs.replace(one, incarnation="") for one in seen]
        assert plain(local) == plain(redis)
        if not local.held_by_other:
            self.lives.append((seen[0].incarnation, seen[1].incarnation))
            assert [one.incarnation == mine for one, mine in zip(seen, lives, strict=True)] in ([True] * 2, [False] * 2)

    @rule(scope=scopes, most=st.none() | st.integers(1, 3), identity=st.none() | st.sampled_from(["r", "s"]))
    def request(self, scope: Scope, most: int | None, identity: str | None) -> None:
        self.number += 1
        identity = identity or f"{self.number}"
        pair = self.alike((lambda fleet=fleet: fleet.ask(scope, most=most, identity=identity)) for fleet in self.both)
        if isinstance(pair[0], Rollout):
            self.known.append(pair)

    @rule(nth=rollouts)
    def watch(self, nth: int) -> None:
        if nth < len(self.known):
            pair = self.known[-1 - nth]
            self.known[-1 - nth] = self.alike(
                (lambda fleet=fleet, mine=mine: fleet.watch(mine)) for fleet, mine in zip(self.both, pair, strict=True)
            )

    @rule(nth=rollouts)
    def one(self, nth: int) -> None:
        epoch = self.epoch(nth)
        self.alike((lambda fleet=fleet: fleet.rollout(epoch)) for fleet in self.both)

    @rule(nth=rollouts, verb=st.sampled_from(["halt", "resume"]))
    def steer(self, nth: int, verb: str) -> None:
        epoch = self.epoch(nth)
        self.alike((lambda fleet=fleet: getattr(fleet, verb)(epoch, "ops")) for fleet in self.both)

    @rule(fields=pauses, verb=st.sampled_from(["pause", "unpause"]))
    def pause(self, fields: tuple[str, ...], verb: str) -> None:
        if fields:
            self.alike((lambda fleet=fleet: getattr(fleet, verb)(*fields)) for fleet in self.both)

    @rule(member=members, is_other=st.booleans())
    def leave(self, member: str, *, is_other: bool) -> None:
        for fleet in self.both:
            fleet.leave(member, "other" if is_other else None)

    @rule(member=members)
    def expire(self, member: str) -> None:
        if member in {found.name for found in self.both[0].members()}:
            for fleet in self.both:
                fleet.world.expire(member)

    @rule(seconds=st.sampled_from([GATHER + 1, LEASE + 1, HOLD + 1]))
    def age(self, seconds: float) -> None:
        for fleet in self.both:
            fleet.world.age_incidents(seconds)

    @rule(key=st.sampled_from(KEYS), raw=st.sampled_from(["1", "5", "soon", "-1", "99999999999999999999"]))
    def write(self, key: str, raw: str) -> None:
        for fleet in self.both:
            fleet.world.write_epoch(key, raw)

    @rule()
    def flush(self) -> None:
        for fleet in self.both:
            fleet.world.flush()
        self.no_clock_seconds()

    @invariant()
    def they_hold_the_same(self) -> None:
        if not hasattr(self, "both"):
            return
        found = self.alike(fleet.rollouts for fleet in self.both)[0]
        for view in ("members", "paused", "events"):
            self.alike(getattr(fleet, view) for fleet in self.both)
        for key in (*KEYS, "last"):
            local, redis = [fleet.world.read_epoch(key) for fleet in self.both]
            assert local == redis
        for rollout in found:
            open_hosts = [host for host in rollout.hosts.values() if host.state is not HostState.DONE]
            assert (rollout.state is RolloutState.DONE) <= (not open_hosts)
            assert (rollout.state is RolloutState.RUNNING) <= bool(open_hosts)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.full)])
def test_they_answer_alike(shared_redis: RedisServer, examples: int) -> None:
    SideBySide.server = shared_redis
    each = settings(max_examples=examples, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(SideBySide, settings=each)  # type: ignore[no-untyped-call]
