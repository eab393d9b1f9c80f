"""What stands in Redis, as the contract has it: names, types, lifetimes, and what it costs."""

from __future__ import annotations

import asyncio
import json

import pytest

from fleetd.coordination.port import (
    KEPT_MINUTES,
    Held,
    HostProgress,
    HostState,
    Intent,
    Report,
    Request,
    RollError,
    Row,
    Told,
)
from fleetd.coordination.redis import keys as keys_module
from fleetd.coordination.redis.connection import Connection
from fleetd.coordination.redis.coordinator import RedisCoordinator
from fleetd.core.scope import Scope
from tests.support.coordination import FleetUnderTest, RedisWorld, redis_fleet, spoken
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.redis


def everything_used(fleet: FleetUnderTest) -> int:
    """Each key of the fleet is written; the epoch of a rollout that runs."""
    fleet.beat("a/x", events=(b'{"n":1}',), life="1", minutes={29_900_000: (Row("media", "high", 1),)})
    fleet.beat("a/x", incidents=(Held("k", is_held=True, told=Told.NOTHING),))
    fleet.pause("host:b")
    for scope in (Scope(), Scope(pools=("media",)), Scope(hosts=("a",)), Scope(("a",), ("media",))):
        rollout = fleet.request(scope, identity=f"r{scope}")
    fleet.report(rollout, "a/x", "rolling", wants=True, error=RollError("media:0", "exit"))
    return rollout.epoch


def test_names_and_types(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    everything_used(on_redis)
    start = world.keys.start
    assert start.startswith("fleetd:{")
    assert start.endswith("}:")
    found = {key.removeprefix(start): world.client.type(key) for key in world.all_keys()}
    strings = ["restart-epoch", "restart-epoch:pool:media", "restart-epoch:host:a", "restart-epoch:host:a:pool:media"]
    strings += ["restart-epoch:last", "incarnation", "member:a/x"]
    assert {key: kind for key, kind in found.items() if not key.startswith(("rollout:", "request:"))} == {
        **dict.fromkeys(strings, "string"),
        **dict.fromkeys(("members", "turns", "rollouts"), "zset"),
        **dict.fromkeys(("roster", "paused", "minute:29900000", "alerts"), "hash"),
        "rollouts:open": "set",
        "events": "stream",
    }
    rollouts = [kind for key, kind in found.items() if key.startswith("rollout:")]
    requests = [kind for key, kind in found.items() if key.startswith("request:")]
    assert rollouts == ["hash"] * 4
    assert requests == ["string"] * 4


def test_every_key_expires_or_says_why_not(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    everything_used(on_redis)
    lines = [line.split("|") for line in (keys_module.__doc__ or "").splitlines() if line.startswith("| `")]
    lives = {line[1].strip().split("`")[1].split(":")[0]: line[3].strip() for line in lines}
    for key in world.all_keys():
        name = key.removeprefix(world.keys.start)
        reason = lives[name.split(":")[0] if name != "rollouts:open" else "rollouts"]
        expires = {"member": 10, "request": 86_400, "minute": 60 * KEPT_MINUTES}.get(name.split(":")[0])
        if expires is None:
            assert world.client.ttl(key) == -1
            assert reason.startswith(("ever: ", "until "))
        else:
            assert expires - 5 <= world.client.ttl(key) <= expires


def test_a_rollouts_fields(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    epoch = everything_used(on_redis)
    fields = world.client.hgetall(world.keys.rollout(epoch))
    assert {"state", "who", "when", "label", "scope", "max_parallel_hosts", "mode", "host:a/x"} <= fields.keys()
    assert (fields["state"], fields["who"], fields["label"], fields["mode"]) == ("running", "someone", "v2", "graceful")
    assert json.loads(fields["scope"]) == {"hosts": ["a"], "pools": ["media"]}
    host = json.loads(fields["host:a/x"])
    assert (host["state"], host["total"], host["done"], host["error"]["lines"]) == ("rolling", 0, 0, [])
    assert abs(host["lease_until"] - world.clock() - 10) < 5
    world.client.delete(world.keys.rollout(epoch))
    plain = on_redis.ask(Scope())
    assert plain is not None
    assert json.loads(world.client.hget(world.keys.rollout(plain.epoch), "scope")) == {"hosts": None, "pools": None}
    asked = json.loads(world.client.hget(world.keys.rollout(plain.epoch), "host:a/x"))
    assert {"state": "asked", "total": 0, "done": 0, "error": None, "lease_until": None}.items() <= asked.items()


def test_what_a_member_publishes(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    on_redis.beat("a/x", id="i", version="1.2", pools=(), status=b'{"pools":[]}')
    document = json.loads(world.client.get(world.keys.member("a/x")))
    assert document == {"id": "i", "protocol": 1, "version": "1.2", "pools": [], "status": {"pools": []}}
    entry = json.loads(world.client.hget(world.keys.roster, "a/x"))
    assert entry.items() >= {"id": "i", "protocol": 1, "version": "1.2", "pools": []}.items()
    assert 9 < world.client.zscore(world.keys.members, "a/x") - world.clock() <= 10


def test_a_key_raised_by_hand_begins_a_rollout(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    on_redis.beat("a/x")
    world.client.incr(world.keys.epoch(""))
    assert on_redis.beat("a/x", epochs={"": 0}).epochs == {"": "1"}


def test_a_beat_is_one_command(redis_server: RedisServer) -> None:
    with redis_fleet(redis_server) as fleet:
        assert isinstance(fleet.world, RedisWorld)
        fleet.beat()
        rollout = fleet.request()
        fleet.report(rollout, "a/x", "rolling", wants=True)
        before = commands(fleet.world)
        for _ in range(5):
            fleet.report(rollout, "a/x", "rolling", wants=True)
        after = commands(fleet.world)
        assert after["evalsha"] - before["evalsha"] == 5
        by_scripts = {"type", "time", "get", "set", "hget", "hset", "zadd", "zscore", "zcard", "exists", "smembers"}
        by_scripts |= {"hkeys", "hmget", "mget", "zremrangebyscore", "zrangebyscore", "pexpire", "info"}
        others = {name for name in after if after[name] != before.get(name, 0)} - by_scripts
        assert others == {"evalsha"}


def commands(world: RedisWorld) -> dict[str, int]:
    """How often the server ran each command, also from scripts."""
    stats = world.client.info("commandstats")
    return {name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()}


def test_scripts_that_the_server_forgot(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    on_redis.beat()
    first = on_redis.request(identity="r")
    world.client.script_flush()
    assert on_redis.request(identity="r").epoch == first.epoch
    world.client.script_flush()
    assert on_redis.report(first, "a/x", "done").rollouts[0].state.value == "done"


def test_a_server_that_forgot_everything(redis_server: RedisServer) -> None:
    with redis_fleet(redis_server) as fleet:
        seen = fleet.beat(epochs={"": 0})
        rollout = fleet.request()
        fleet.pause("host:a")
        with redis_server.connect() as client:
            client.flushall()
            client.script_flush()
        asked_again = Report(rollout.intent, HostProgress(HostState.WAITING, total=2))
        answer = fleet.beat(
            status=None,
            epochs={"": rollout.epoch},
            reports={rollout.epoch: asked_again},
            wants_turn=(rollout.epoch,),
            paused=("host:a",),
            incarnation=seen.incarnation,
        )
        assert (answer.needs_status, answer.epochs, answer.paused) == (True, {"": str(rollout.epoch)}, {"host:a"})
        assert answer.has_turn
        assert [found.epoch for found in answer.rollouts] == [rollout.epoch]
        assert fleet.watch(rollout).hosts["a/x"].total == 2


def test_a_duplicate_that_lands_late_does_no_lasting_harm(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    on_redis.beat("b/x")
    on_redis.beat("a/x")
    rollout = on_redis.request(most=1)
    waiting = {rollout.epoch: Report(rollout.intent, HostProgress(HostState.WAITING))}
    late = spoken("a/x", reports=waiting, wants_turn=(rollout.epoch,), epochs={"": rollout.epoch})
    on_redis.run(on_redis.coordinator.beat(late))
    on_redis.report(rollout, "a/x", "done")
    later = on_redis.request(most=1)
    on_redis.run(on_redis.coordinator.beat(late))
    assert world.read_epoch("") == str(later.epoch), "nothing is lowered"
    assert on_redis.rollouts()[1].state.value == "superseded"
    on_redis.report(rollout, "a/x", "done")
    assert on_redis.report(later, "b/x", "rolling", wants=True).has_turn
    on_redis.leave("a/x")
    on_redis.run(on_redis.coordinator.beat(late))
    assert world.client.zscore(world.keys.members, "a/x") <= world.clock() + 10, "it ends with its lease"


def test_members_that_nobody_saw_for_a_day_are_forgotten(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    on_redis.beat("a/x")
    on_redis.beat("old/x")
    world.client.zadd(world.keys.members, {"old/x": world.clock() - 86_401})
    assert [member.name for member in on_redis.members()] == ["a/x"]
    on_redis.beat("a/x")
    assert world.client.zrange(world.keys.members, 0, -1) == ["a/x"]
    assert world.client.hkeys(world.keys.roster) == ["a/x"]


def test_the_stream_is_capped(on_redis: FleetUnderTest, world: RedisWorld) -> None:
    for _ in range(6):
        on_redis.beat(events=(b'{"n":1}',) * 2_000)
    assert 10_000 <= world.client.xlen(world.keys.events) < 10_200


def test_finishing_asks_no_other_host(redis_server: RedisServer) -> None:
    with redis_fleet(redis_server) as fleet:
        assert isinstance(fleet.world, RedisWorld)
        for number in range(50):
            fleet.beat(f"h{number}/x")
        rollout = fleet.request()
        before = commands(fleet.world).get("hgetall", 0)
        for number in range(50):
            fleet.report(rollout, f"h{number}/x", "rolling")
            fleet.report(rollout, f"h{number}/x", "done")
        assert commands(fleet.world).get("hgetall", 0) - before <= 1, "only the last one counts again"
        assert fleet.rollouts()[0].state.value == "done"


def test_a_watch_sends_hosts_only_where_they_were_lost(redis_server: RedisServer) -> None:
    with redis_fleet(redis_server) as fleet:
        assert isinstance(fleet.world, RedisWorld)
        client = fleet.world.client
        for number in range(50):
            fleet.beat(f"h{number}/x")
        rollout = fleet.watch(fleet.request())

        def watched() -> tuple[int, int]:
            calls, got = commands(fleet.world)["evalsha"], client.info("stats")["total_net_input_bytes"]
            assert fleet.watch(rollout) == rollout
            return commands(fleet.world)["evalsha"] - calls, client.info("stats")["total_net_input_bytes"] - got

        calls, sent = watched()
        assert calls == 1
        assert sent < 1_500
        client.hdel(fleet.world.keys.rollout(rollout.epoch), "host:h1/x", "host:h2/x")
        client.hset(fleet.world.keys.rollout(rollout.epoch), "remaining", 48)
        assert watched()[0] == 2
        client.delete(fleet.world.keys.rollout(rollout.epoch))
        calls, sent = watched()
        assert calls == 2
        assert sent > 5_000
        assert watched()[0] == 1


@pytest.mark.parametrize("step", ["request", "halt", "resume", "pause", "unpause"])
def test_hosts_are_woken(on_redis: FleetUnderTest, world: RedisWorld, step: str) -> None:
    on_redis.beat()
    epoch = on_redis.request().epoch
    with world.client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(world.keys.wake)
        pubsub.get_message(timeout=5)
        if step == "request":
            on_redis.request()
        elif step in {"halt", "resume"}:
            getattr(on_redis, step)(epoch)
        else:
            getattr(on_redis, step)("host:a")
        message = pubsub.get_message(timeout=5) or pubsub.get_message(timeout=5)
        assert message is not None
        assert message["channel"] == world.keys.wake


def test_fleets_do_not_meet(shared_redis: RedisServer, on_redis: FleetUnderTest) -> None:
    on_redis.beat("a/x")
    with redis_fleet(shared_redis) as other:
        assert other.members() == []
        assert other.ask() is None


def test_requests_at_the_same_time_get_different_epochs(
    shared_redis: RedisServer, on_redis: FleetUnderTest, world: RedisWorld
) -> None:
    async def all_at_once() -> list[int]:
        name = world.keys.start.removeprefix("fleetd:{").removesuffix("}:")
        others = [RedisCoordinator(Connection(shared_redis.url), name) for _ in range(8)]
        try:
            answers = await asyncio.gather(
                *(other.request(Request(f"{n // 2}", Intent())) for n, other in enumerate(others))
            )
        finally:
            for other in others:
                await other.close()
        return [answer.epoch for answer in answers if answer is not None]

    on_redis.beat()
    epochs = on_redis.run(all_at_once())
    assert len(epochs) == 8
    assert len(set(epochs)) == 4, "two of each id"
