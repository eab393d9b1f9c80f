"""The two users that docs/redis.md lists: each can do all of its steps, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from fleetd.coordination.port import Coordinator, Row
from fleetd.coordination.redis.connection import Connection
from fleetd.coordination.redis.coordinator import RedisCoordinator
from fleetd.coordination.redis.keys import Keys
from fleetd.coordination.redis.scripts import script
from fleetd.core.minutes import minute_of
from fleetd.errors import UnreachableError
from tests.support.coordination import FleetUnderTest, RedisWorld
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.redis
ROOT = Path(__file__).parents[2]
PASSWORD = "a-password"
STEPS = {
    "member": ("beat", "leave"),
    "requester": ("request", "watch", "rollouts", "steer", "members", "pause", "minutes"),
}
PLAIN = {"member": set[str](), "requester": {"hgetall", "hkeys", "xrange", "xrevrange", "type"}}
CONNECTING = {"select", "role", "cluster|slots", "eval", "evalsha", "subscribe"}
ITS = Keys("acme")


def line(user: str) -> str:
    return (ROOT / "configs/redis" / f"{user}.acl").read_text().strip()


@contextmanager
def user(server: RedisServer, name: str) -> Iterator[FleetUnderTest]:
    """A fleet's coordinator as the user of configs/redis/NAME.acl sees it."""
    with server.connect() as admin, asyncio.Runner() as runner:
        admin.execute_command(*line(name).replace("PASSWORD", PASSWORD).split())
        url = f"redis://fleetd-{name}:{PASSWORD}@127.0.0.1:{server.port}/0"
        coordinator = RedisCoordinator(Connection(url), "acme")
        try:
            yield FleetUnderTest(runner, coordinator, RedisWorld(admin, ITS))
        finally:
            runner.run(coordinator.close())


@contextmanager
def client(server: RedisServer, name: str) -> Iterator[redis.Redis]:
    """Plain commands of the same user."""
    made = redis.Redis(port=server.port, username=f"fleetd-{name}", password=PASSWORD, protocol=2, socket_timeout=5)
    try:
        yield made
    finally:
        made.close()


def test_each_does_all_its_steps(redis_server: RedisServer) -> None:
    with user(redis_server, "member") as member, user(redis_server, "requester") as requester:
        assert requester.ask() is None
        seen = member.beat("a/x", events=[b'{"kind":"up"}'])
        assert seen.incarnation
        member.beat("b/x")
        assert [found.name for found in requester.members()] == ["a/x", "b/x"]
        assert requester.members()[0].status == {"state": "running"}
        requester.pause("host:a")
        assert requester.paused() == {"host:a"}
        assert member.beat("a/x").paused == {"host:a"}
        requester.unpause("host:a")

        first = requester.request()
        assert str(first.epoch) in member.beat("a/x", epochs={"": 0}).epochs.values()
        assert member.report(first, "a/x", "rolling", wants=True).has_turn
        assert (requester.halt(first.epoch) or first).state == "halted"
        assert (requester.resume(first.epoch) or first).state == "running"
        member.report(first, "a/x", "halted", resumes=1)
        assert requester.watch(first).state == "halted"
        second = requester.request()
        assert [found.state for found in requester.rollouts()] == ["running", "superseded"]
        assert requester.rollout(second.epoch) == requester.rollouts()[0]
        redis_server_forgets(redis_server, ITS.rollout(second.epoch))
        assert requester.watch(second).epoch == second.epoch
        for name in ("a/x", "b/x"):
            member.report(second, name, "done")
        assert requester.watch(second).state == "done"

        [event] = requester.events()
        assert event.document == {"kind": "up"}
        assert requester.events(event.position) == []
        minute, row = minute_of(member.world.clock()), Row("media", "high", 1)
        member.beat("a/x", life="1", minutes={minute: (row,)})
        assert requester.minutes(minute, minute) == {minute: (row,)}
        member.leave("a/x")
        assert [found.name for found in requester.members()] == ["b/x"]


def redis_server_forgets(server: RedisServer, key: str) -> None:
    with server.connect() as admin:
        assert admin.delete(key) == 1


def test_what_a_member_knows_of_a_rollout_outlives_a_flush(redis_server: RedisServer) -> None:
    with user(redis_server, "member") as member, user(redis_server, "requester") as requester:
        member.beat("a/x")
        requester.pause("host:a")
        rollout = requester.request()
        seen = member.beat("a/x")
        member.world.flush()
        member.beat("a/x", paused=("host:a",), incarnation=seen.incarnation, epochs={"": rollout.epoch})
        member.report(rollout, "a/x", "waiting")
        assert requester.paused() == {"host:a"}
        assert [found.epoch for found in requester.rollouts()] == [rollout.epoch]


def test_more_rollouts_than_are_kept(redis_server: RedisServer) -> None:
    with user(redis_server, "member") as member, user(redis_server, "requester") as requester:
        member.beat("a/x")
        for _ in range(102):
            requester.request()
        assert len(requester.rollouts()) == 100


@pytest.mark.parametrize("name", ["member", "requester"])
def test_each_hears_hints_of_its_own_fleet_only(redis_server: RedisServer, name: str) -> None:
    with user(redis_server, name) as fleet, redis_server.connect() as admin:
        assert fleet.run(_first_hint(fleet.coordinator, admin)) == "look"
        with client(redis_server, name) as plain, pytest.raises(NoPermissionError):
            plain.execute_command("SUBSCRIBE", Keys("other").wake)


async def _first_hint(coordinator: Coordinator, admin: redis.Redis) -> str:
    hints = coordinator.hints()
    hint = asyncio.ensure_future(anext(hints))
    async with asyncio.timeout(30):
        while not hint.done():
            admin.publish(ITS.wake, "look")
            await asyncio.wait([hint], timeout=0.05)
    await hints.aclose()  # type: ignore[attr-defined]
    return hint.result()


ADMIN_ONLY = ["FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "RANDOMKEY", "CONFIG GET *", "ACL LIST", "CLIENT LIST", "INFO"]
ADMIN_ONLY += ["MONITOR", "SHUTDOWN", "SAVE", "REPLICAOF NO ONE", "SCRIPT FLUSH", "FUNCTION LIST", "SWAPDB 0 1"]


@pytest.mark.parametrize("name", ["member", "requester"])
@pytest.mark.parametrize("command", ADMIN_ONLY)
def test_neither_may_give_an_administrators_commands(redis_server: RedisServer, name: str, command: str) -> None:
    with user(redis_server, name), client(redis_server, name) as plain:
        assert is_forbidden(plain, *command.split())
        assert is_forbidden(plain, "EVAL", in_lua(*command.split()), 0)


@pytest.mark.parametrize("name", ["member", "requester"])
def test_neither_touches_other_keys(redis_server: RedisServer, name: str) -> None:
    with user(redis_server, name), client(redis_server, name) as plain:
        for key in (Keys("other").last, Keys("acme2").members, "fleetd:acme:x", "laravel:queue"):
            assert is_forbidden(plain, "SET", key, "1"), key
            assert is_forbidden(plain, "GET", key), key
            assert is_forbidden(plain, "EVAL", f"return redis.call('SET', '{key}', '1')", 0), key
            assert is_forbidden(plain, "EVAL", "return redis.call('GET', KEYS[1])", 1, key), key


def test_a_requester_cannot_write_what_members_write(redis_server: RedisServer) -> None:
    with user(redis_server, "requester"), client(redis_server, "requester") as plain:
        if redis_server_version(redis_server) < 7:
            pytest.skip("Redis before 7 has no permission to read only")
        for write in (
            ("ZADD", ITS.members, "1", "a/x"),
            ("ZREM", ITS.members, "a/x"),
            ("HSET", ITS.roster, "a/x", "{}"),
            ("SET", ITS.member("a/x"), "{}"),
            ("DEL", ITS.member("a/x")),
            ("DEL", ITS.events),
            ("ZADD", ITS.turns, "1", "a/x"),
            ("SET", ITS.incarnation, "1"),
        ):
            assert is_forbidden(plain, *write), write
            assert is_forbidden(plain, "EVAL", in_lua(*write), 0), write


def test_a_member_that_asks_is_refused_before_anything_is_done(redis_server: RedisServer) -> None:
    with user(redis_server, "member") as member, redis_server.connect() as admin:
        member.beat()
        for step in (
            member.request,
            lambda: member.run(member.coordinator.pause(("host:a",), paused=True)),
        ):
            with pytest.raises(UnreachableError, match="NOPERM"):
                step()
        left = [key for key in admin.keys("*") if key in (ITS.paused, ITS.last, ITS.epoch("")) or "request" in key]
        assert left == []


def in_lua(*words: str) -> str:
    return f"return redis.call({','.join(repr(word) for word in words)})"


def redis_server_version(server: RedisServer) -> int:
    with server.connect() as admin:
        return int(str(admin.info("server")["redis_version"]).split(".")[0])


FORBIDDEN = re.compile("no permission|can't run|can't access|ACL failure|not allowed from script", re.IGNORECASE)


def is_forbidden(plain: redis.Redis, *words: object) -> bool:
    try:
        plain.execute_command(*words)
    except redis.ResponseError as error:
        return isinstance(error, NoPermissionError) or FORBIDDEN.search(str(error)) is not None
    return False


@pytest.mark.parametrize("name", ["member", "requester"])
def test_the_commands_are_those_that_the_scripts_call(name: str) -> None:
    called = PLAIN[name] | CONNECTING
    for step in STEPS[name]:
        called |= {command.lower() for command in re.findall(r"redis\.p?call\('(\w+)'", script(step).text)}
    assert {word[1:] for word in line(name).split() if word.startswith("+")} == called


def test_every_script_has_a_user() -> None:
    scripts = (ROOT / "fleetd/coordination/redis/scripts").glob("*.lua")
    assert {path.stem for path in scripts} == {*STEPS["member"], *STEPS["requester"]}


def test_the_page_shows_the_same_lines() -> None:
    page = (ROOT / "docs/redis.md").read_text()
    for name in STEPS:
        assert line(name) in page
