"""Cluster: the node that has the fleet's keys is found, also after it died or gave them away."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.redis_cluster import running_cluster
from tests.support.redis_server import RedisServer
from tests.support.redis_steps import CHANNEL, GET, KEY, SET, connected, eventually, failure, hear, replicated

pytestmark = pytest.mark.redis


def test_a_master_that_dies_and_one_that_gives_the_keys_away() -> None:
    async def steps() -> None:
        with running_cluster() as cluster:
            entry = next(server for server in cluster.servers.values() if server is not cluster.master_of(KEY))
            for port in (entry.port, cluster.master_of(KEY).port):  # by MOVED, and at once
                async with connected(cluster.url(port)) as connection:
                    assert await connection.run(SET, [KEY], ["1"]) == b"OK"
                    assert await connection.run(GET, [KEY], []) == b"1"

            async with connected(cluster.url()) as connection:
                await connection.run(SET, [KEY], ["1"])
                await replicated(connection, 1)
                with cluster.alive()[0].connect() as client:
                    assert await hear(connection, lambda: client.publish(CHANNEL, "look")) == "look"
                new = await asyncio.to_thread(cluster.kill_master_of, KEY)
                assert await eventually(lambda: connection.run(GET, [KEY], [])) == b"1"
                with new.connect() as client:
                    assert await hear(connection, lambda: client.publish(CHANNEL, "look")) == "look"

                await connection.command("DEL", KEY)
                taker = await asyncio.to_thread(cluster.move_slot, KEY)
                assert await eventually(lambda: connection.run(SET, [KEY], ["2"])) == b"OK"
                with taker.connect() as client:
                    assert client.get(KEY) == "2"

    asyncio.run(steps())


def test_the_only_node_of_the_url_may_die_once_the_others_are_known() -> None:
    async def steps() -> None:
        with running_cluster() as cluster:
            owner = cluster.master_of(KEY)
            async with connected(cluster.url(owner.port)) as connection:
                await connection.run(SET, [KEY], ["1"])
                await replicated(connection, 1)
                await asyncio.to_thread(owner.stop)
                assert await failure(connection.run(GET, [KEY], []))
                assert await eventually(lambda: connection.run(GET, [KEY], [])) == b"1"

    asyncio.run(steps())


def test_a_server_that_is_no_cluster(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(f"redis+cluster://127.0.0.1:{redis_server.port}") as connection:
            told = await failure(connection.run(GET, [KEY], []))
            assert "is no Cluster: begin the URL with redis://" in told

    asyncio.run(steps())
