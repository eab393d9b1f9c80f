"""Sentinel: the master is found, also after a failover in the middle, and by those Sentinels that live."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis

from fleetd.redis.wire import PATIENCE
from tests.support.ports import free_port
from tests.support.redis_sentinel import SERVICE, running_sentinels
from tests.support.redis_steps import CHANNEL, GET, KEY, SET, connected, eventually, failure, hear, replicated

pytestmark = pytest.mark.redis


def test_a_failover_in_the_middle() -> None:
    async def steps() -> None:
        with running_sentinels() as sentinels:
            async with connected(sentinels.url()) as connection:
                assert await connection.run(SET, [KEY], ["1"]) == b"OK"
                await replicated(connection, 2)
                old = await asyncio.to_thread(sentinels.kill_master)
                assert await failure(connection.run(SET, [KEY], ["2"]))
                # Whatever is the matter meanwhile, no call takes longer than it may, and the first that gets
                # through is answered by the new master.
                new = await asyncio.to_thread(sentinels.master_after, old)
                assert await connection.run(GET, [KEY], []) == b"1"
                assert await connection.run(SET, [KEY], ["3"]) == b"OK"
                with new.connect() as client:
                    assert client.get(KEY) == "3"
                    assert await hear(connection, lambda: client.publish(CHANNEL, "look")) == "look"

    asyncio.run(steps())


def test_a_failover_by_hand_moves_commands_and_hints() -> None:
    async def steps() -> None:
        with running_sentinels() as sentinels:
            async with connected(sentinels.url()) as connection:
                await connection.run(SET, [KEY], ["1"])
                hints = connection.hints(CHANNEL)
                ended = asyncio.ensure_future(_count(hints))
                new = await asyncio.to_thread(sentinels.failover_by_hand)
                await eventually(lambda: connection.run(SET, [KEY], ["2"]))
                with new.connect() as client:
                    assert client.get(KEY) == "2"
                async with asyncio.timeout(40):
                    await ended  # the old master is none any more, and what is published is not heard there first
                with new.connect() as client:
                    assert await hear(connection, lambda: client.publish(CHANNEL, "look")) == "look"

    asyncio.run(steps())


async def _count(hints: object) -> int:
    return len([hint async for hint in hints])  # type: ignore[attr-defined]


def test_sentinels_that_are_gone_or_hang_do_not_matter() -> None:
    async def steps() -> None:
        with running_sentinels() as sentinels:
            sentinels.processes[0].kill()
            sentinels.processes[0].wait(10)
            with sentinels.paused(1):
                took = list[float]()
                for _ in range(10):  # in whatever order they are asked
                    began = time.monotonic()
                    async with connected(sentinels.url()) as connection:
                        assert await connection.run(SET, [KEY], ["1"]) == b"OK"
                    took.append(time.monotonic() - began)
                # The one that hangs is not waited for: every other time it would be; a busy machine is slow once.
                assert sum(each >= PATIENCE for each in took) <= 1, took

    asyncio.run(steps())


def test_what_the_sentinels_do_not_know_or_who_they_are_not() -> None:
    async def steps() -> None:
        with running_sentinels() as sentinels:
            port = sentinels.ports[0]
            async with connected(f"redis+sentinel://127.0.0.1:{port}/other") as connection:
                told = await failure(connection.run(GET, [KEY], []))
                start = f"redis+sentinel://127.0.0.1:{port}/other/0: 127.0.0.1:{port}: "
                assert told == f"{start}this Sentinel knows no service 'other'"
            server = sentinels.master()
            async with connected(f"redis+sentinel://127.0.0.1:{server.port}/{SERVICE}") as connection:
                assert "is no Sentinel" in await failure(connection.run(GET, [KEY], []))

    asyncio.run(steps())


def test_sentinels_have_a_login_of_their_own() -> None:
    async def steps() -> None:
        with running_sentinels() as sentinels:
            port, server = sentinels.ports[0], sentinels.master()
            with redis.Redis(port=port, socket_timeout=5) as sentinel:
                sentinel.execute_command("ACL", "SETUSER", "seer", "on", ">word", "+sentinel|get-master-addr-by-name")
                sentinel.execute_command("ACL", "SETUSER", "default", "resetpass", ">unknown")
            with server.connect() as master:
                master.execute_command("ACL", "SETUSER", "me", "on", ">other", "~*", "+@all")
            url = f"redis+sentinel://me:other@127.0.0.1:{port}/{SERVICE}"
            async with connected(f"{url}?sentinel_username=seer&sentinel_password=word") as connection:
                assert (await connection.command("ACL", "WHOAMI")) == b"me"
            async with connected(f"{url}?sentinel_username=seer&sentinel_password=other") as connection:
                told = await failure(connection.run(GET, [KEY], []))
                assert told.endswith(f"127.0.0.1:{port}: refuses the user or the password")
            async with connected(url) as connection:
                assert "asks for a password" in await failure(connection.run(GET, [KEY], []))

    asyncio.run(steps())


def test_no_sentinel_at_all() -> None:
    async def steps() -> None:
        first, second = free_port(), free_port()
        async with connected(f"redis+sentinel://127.0.0.1:{first},127.0.0.1:{second}/{SERVICE}") as connection:
            told = await failure(connection.run(GET, [KEY], []))
            assert f"127.0.0.1:{first}: connection refused" in told
            assert f"127.0.0.1:{second}: connection refused" in told
            assert [hint async for hint in connection.hints(CHANNEL)] == []

    asyncio.run(steps())
