"""Anyone may write to the keys: junk breaks nobody's beat, and is handed on to nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleetd.coordination.port import Held, HostState, Rollout, Told
from fleetd.core.scope import Scope
from fleetd.errors import FleetdError, UnreachableError
from tests.support.coordination import FleetUnderTest, RedisWorld

pytestmark = pytest.mark.redis

JUNK = [
    "",
    "junk",
    "{}",
    "[]",
    "[1",
    "null",
    "1",
    '"x"',
    '{"id":5}',
    '{"state":[]}',
    "\x00\xff",
    "[" * 5000,
    "nan",
    "1_0",
    "inf",
]
NAMES = [
    "members", "roster", "turns", "rollouts", "rollouts:open", "paused", "incarnation", "events", "restart-epoch",
    "restart-epoch:last", "rollout:EPOCH", "member:a/x", "request:r", "alerts",
]  # fmt: skip
NOT_NAMES = ["", "x", "a/", "/x", "a/../x", "a/X", "../a/x", "a b/x", "a\n/x", "a/x/y", "ä/x", "-a/x", "a" * 64 + "/x"]


def steps(fleet: FleetUnderTest, rollout: Rollout) -> dict[str, Callable[[], object]]:
    """Every step of the port."""
    return {
        "beat": lambda: fleet.report(rollout, "a/x", "rolling", wants=True),
        "beat of another": lambda: fleet.beat("b/x", events=(b"{}",), epochs={"": 5}),
        "beat with an incident": lambda: fleet.beat("b/x", incidents=(Held("k", True, Told.NOTHING),), has_alerts=True),
        "request": fleet.ask,
        "the same request": lambda: fleet.ask(identity="r"),
        "watch": lambda: fleet.watch(rollout),
        "rollouts": fleet.rollouts,
        "rollout": lambda: fleet.rollout(rollout.epoch),
        "halt": lambda: fleet.halt(rollout.epoch),
        "resume": lambda: fleet.resume(rollout.epoch),
        "members": fleet.members,
        "pause": lambda: fleet.pause("host:a"),
        "paused": fleet.paused,
        "events": fleet.events,
        "events after": lambda: fleet.events("0-0"),
        "leave": lambda: fleet.leave("b/x"),
    }


def refusal(step: Callable[[], object]) -> str:
    """Why a step could not be taken; "" if it could.  Redis itself is in reach, and its errors are none of ours."""
    try:
        step()
    except UnreachableError:
        raise
    except FleetdError as error:
        return str(error)
    return ""


def begun(fleet: FleetUnderTest) -> Rollout:
    fleet.beat("a/x", events=(b"{}",))
    fleet.beat("b/x")
    fleet.pause("host:b")
    rollout = fleet.request(identity="r")
    fleet.report(rollout, "a/x", "rolling", wants=True)
    return rollout


@pytest.mark.parametrize("kind", ["string", "hash", "list"])
@pytest.mark.parametrize("name", NAMES)
def test_a_key_of_a_wrong_type_is_named_or_passed_over(
    on_redis: FleetUnderTest, world: RedisWorld, name: str, kind: str
) -> None:
    rollout = begun(on_redis)
    key = world.keys.start + name.replace("EPOCH", str(rollout.epoch))
    for step in steps(on_redis, rollout).values():
        world.client.delete(key)
        if kind == "string":
            world.client.set(key, "junk")
        elif kind == "hash":
            world.client.hset(key, "junk", "junk")
        else:
            world.client.rpush(key, "junk")
        refused = refusal(step)
        assert str(rollout.epoch) in refused or key in refused or not refused
    world.client.delete(key)
    for step in steps(on_redis, rollout).values():
        step()


@pytest.mark.parametrize(
    "name", ["paused", "incarnation", "events", "restart-epoch", "restart-epoch:last", "rollout:EPOCH", "member:a/x"]
)
def test_a_beat_goes_on_beside_a_key_of_a_wrong_type(on_redis: FleetUnderTest, world: RedisWorld, name: str) -> None:
    rollout = begun(on_redis)
    key = world.keys.start + name.replace("EPOCH", str(rollout.epoch))
    world.client.delete(key)
    world.client.rpush(key, "junk")
    seen = on_redis.report(rollout, "a/x", "waiting")
    assert on_redis.beat("a/x", epochs={"": 5}, events=(b"{}",)).clock >= seen.clock


@pytest.mark.parametrize("junk", JUNK)
def test_junk_in_the_roster(on_redis: FleetUnderTest, world: RedisWorld, junk: str) -> None:
    begun(on_redis)
    world.client.hset(world.keys.roster, "b/x", junk)
    world.client.set(world.keys.member("b/x"), junk)
    assert on_redis.request().hosts.keys() == {"a/x"}
    assert [member.name for member in on_redis.members()] == ["a/x"]
    assert not on_redis.beat("a/x").held_by_other
    assert not on_redis.beat("b/x").held_by_other
    assert on_redis.request().hosts.keys() == {"a/x", "b/x"}


@pytest.mark.parametrize("name", NOT_NAMES)
def test_names_that_are_none(on_redis: FleetUnderTest, world: RedisWorld, name: str) -> None:
    rollout = begun(on_redis)
    world.client.zadd(world.keys.members, {name: world.clock() + 1000})
    world.client.hset(world.keys.roster, name, '{"id":"1","pools":["media"],"max_parallel_hosts":{"count":1}}')
    world.client.hset(world.keys.rollout(rollout.epoch), f"host:{name}", '{"state":"waiting"}')
    assert [member.name for member in on_redis.members()] == ["a/x", "b/x"]
    assert on_redis.request(Scope(pools=("media",))).hosts.keys() == {"a/x", "b/x"}
    on_redis.report(rollout, "a/x", "done")
    on_redis.report(rollout, "b/x", "done")
    found = on_redis.rollouts()[1]
    assert (found.hosts.keys(), found.state.value) == ({"a/x", "b/x"}, "done")


def test_members_of_other_versions(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    on_redis.beat("a/x")
    world.client.zadd(world.keys.members, {"old/x": world.clock() + 9, "new/x": world.clock() + 9})
    world.client.hset(world.keys.roster, "old/x", '{"id":"1"}')
    new = '{"id":"1","protocol":2,"version":"9","pools":["media","../x",""],"more":{"a":1},'
    world.client.hset(world.keys.roster, "new/x", new + '"max_parallel_hosts":{"count":0,"share":0.67,"more":1}}')
    world.client.set(world.keys.member("new/x"), '{"id":"1","status":{"a":1},"more":[]}')
    _, newer, older = on_redis.members()
    assert (newer.protocol, newer.version, newer.pools, newer.status) == (2, "9", ("media",), {"a": 1})
    assert (older.protocol, older.version, older.pools, older.status) == (1, "", (), None)
    assert on_redis.request().max_parallel_hosts == 2
    fields = '{"state":"rolling","total":3,"more":{"a":[]}}'
    rollout = on_redis.request()
    world.client.hset(world.keys.rollout(rollout.epoch), "host:new/x", fields)
    progress = on_redis.rollouts()[0].hosts["new/x"]
    assert (progress.state, progress.total, progress.done) == (HostState.ROLLING, 3, 0)


@pytest.mark.parametrize("junk", JUNK)
def test_junk_in_a_hosts_field(on_redis: FleetUnderTest, world: RedisWorld, junk: str) -> None:
    rollout = begun(on_redis)
    world.client.hset(world.keys.rollout(rollout.epoch), "host:a/x", junk)
    on_redis.report(rollout, "b/x", "done")
    assert on_redis.rollouts()[0].state.value == "running"
    assert on_redis.rollouts()[0].hosts.keys() == {"b/x"}
    assert on_redis.report(rollout, "a/x", "done").rollouts[0].state.value == "done"


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("field", ["state", "scope", "max_parallel_hosts", "resumes", "remaining", "when", "ended"])
def test_junk_in_a_rollouts_field(on_redis: FleetUnderTest, world: RedisWorld, field: str, junk: str) -> None:
    rollout = begun(on_redis)
    world.client.hset(world.keys.rollout(rollout.epoch), field, junk)
    for step in steps(on_redis, rollout).values():
        refused = refusal(step)
        assert str(rollout.epoch) in refused or not refused
    assert on_redis.request().epoch > rollout.epoch
    assert on_redis.beat("a/x", epochs={"": 5}).epochs != {}


@pytest.mark.parametrize("remaining", ["junk", "", "-5", "0", "1e3", "99999999999999999999"])
def test_a_count_that_is_wrong_is_not_believed(on_redis: FleetUnderTest, world: RedisWorld, remaining: str) -> None:
    rollout = begun(on_redis)
    world.client.hset(world.keys.rollout(rollout.epoch), "remaining", remaining)
    assert on_redis.report(rollout, "a/x", "done").rollouts[0].state.value == "running"
    assert on_redis.report(rollout, "b/x", "done").rollouts[0].state.value == "done"


@pytest.mark.parametrize("junk", [junk for junk in JUNK if not junk.startswith("{")])
def test_junk_among_events_and_pauses(on_redis: FleetUnderTest, world: RedisWorld, junk: str) -> None:
    begun(on_redis)
    for _ in range(5):
        world.client.xadd(world.keys.events, {"e": junk, "more": "1"})
        world.client.xadd(world.keys.events, {"other": junk})
    on_redis.beat("a/x", events=(b'{"n":1}',))
    position = on_redis.events()[0].position
    assert [event.document for event in on_redis.events(position, 2)][-1] == {"n": 1}
    for field in (junk, f"host:{junk}", "host:a:pool:../x", "pool:A", "host:a/x"):
        world.client.hset(world.keys.paused, field, "1")
    assert on_redis.paused() <= {"host:b", "host:junk", "host:1", "host:nan", "host:null", "host:1_0", "host:inf"}
    assert on_redis.beat("a/x").paused == on_redis.paused()


@pytest.mark.parametrize("junk", JUNK)
def test_junk_in_the_lists_of_rollouts(on_redis: FleetUnderTest, world: RedisWorld, junk: str) -> None:
    rollout = begun(on_redis)
    world.client.sadd(world.keys.open, junk, "5")
    world.client.zadd(world.keys.rollouts, {junk: 5, "5": 5})
    world.client.hset(f"{world.keys.rollout_start}{junk}", mapping={"state": "running", "scope": "{}"})
    found = [found.epoch for found in on_redis.report(rollout, "a/x", "waiting", wants=True).rollouts]
    assert found == ([1, rollout.epoch] if junk == "1" else [rollout.epoch])
    assert on_redis.rollouts()[0].epoch == rollout.epoch
    on_redis.request()


def test_a_scope_with_names_that_are_none_is_not_handed_on(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    rollout = begun(on_redis)
    world.client.hset(world.keys.rollout(rollout.epoch), "scope", '{"hosts":["../a"],"pools":null}')
    assert on_redis.beat("a/x").rollouts == ()
    assert on_redis.rollouts() == []
