"""Queues in a Cluster: keys in whichever slots, nodes that die, slots that move."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import Iterator

import pytest
import redis
from redis.crc import key_slot

from fleetd.brokers.redis.broker import LIMIT, RedisBroker
from fleetd.core.queues import Depth, Place
from fleetd.errors import UnreachableError
from tests.brokers.contract import BrokerContract
from tests.support.redis_cluster import Cluster, running_cluster
from tests.support.redis_queues import MESSAGES, PAYLOADS, RECORDS, RedisWorld, redis_world
from tests.support.redis_server import RedisServer
from tests.support.redis_steps import SLACK, eventually

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """For tests that leave its nodes alone."""
    with running_cluster() as cluster:
        yield cluster


@contextlib.contextmanager
def client_of(cluster: Cluster) -> Iterator[redis.RedisCluster]:
    """A client that finds the nodes by itself, and gives bytes."""
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.alive()[0].port, socket_timeout=10)
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def all_paused(cluster: Cluster) -> Iterator[None]:
    """Meanwhile no node answers; it is over before they would have to elect another master."""
    servers = cluster.alive()
    for server in servers:
        server.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
    try:
        yield
    finally:
        for server in servers:
            server.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]


class TestCluster(BrokerContract):
    """The names of PAYLOADS are plain: each key of a queue is in a slot of its own."""

    @pytest.fixture(
        params=[
            pytest.param(PAYLOADS, id="payloads"),
            pytest.param(RECORDS, id="records", marks=pytest.mark.full),
            pytest.param(MESSAGES, id="messages", marks=pytest.mark.full),
        ]
    )
    def world(self, request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[RedisWorld]:
        with client_of(cluster) as client:
            client.flushall(target_nodes="primaries")
            with redis_world(cluster.url(), client, request.param, lambda: all_paused(cluster)) as world:
                yield world


def test_many_queues_are_one_round_trip_to_each_node(cluster: Cluster) -> None:
    places = [PAYLOADS.of(f"q{number}") for number in range(50)]
    keys = [key for place in places for key in (*place.ready, *place.delayed, *place.reserved)]
    assert len({key_slot(key.encode()) for key in keys}) > 100

    async def steps() -> None:
        broker = RedisBroker(cluster.url())
        await broker.read(places)
        with client_of(cluster) as client:
            client.flushall(target_nodes="primaries")
            for number, place in enumerate(places):
                for _ in range(number):
                    client.rpush(place.ready[0], b'{"createdAt":1795680682}')
                client.zadd(place.delayed[0], {"a": time.time() - 5, "b": time.time() + 500})
        for server in cluster.alive():
            with server.connect() as plain:
                plain.config_resetstat()
        found = await broker.read(places)
        times = []
        for server in cluster.alive():
            with server.connect() as plain:
                times.append(plain.info("commandstats").get("cmdstat_time", {"calls": 0})["calls"])
        assert sorted(times) == [0, 0, 0, 1, 1, 1]  # TIME is asked once in a round trip, and replicas are asked nothing
        for number, place in enumerate(places):
            assert found[place].ready == number
            assert (found[place].delayed, found[place].due) == (1, 1)
            assert (found[place].oldest_at is None) == (number == 0)
        await broker.close()

    asyncio.run(steps())


def test_no_read_fails_while_a_slot_moves(cluster: Cluster) -> None:
    place = Place("moving", ready=("{moving}a", "{moving}b"), oldest="first", enqueued_at=("at",))

    async def steps() -> None:
        broker = RedisBroker(cluster.url())
        with client_of(cluster) as client:
            client.rpush("{moving}a", '{"at":1795680682}', "x")
            client.rpush("{moving}b", "y")
        expected = Depth(ready=3, oldest_at=1795680682)
        assert (await broker.read([place]))[place] == expected
        old = cluster.master_of("{moving}")
        new = next(server for server in cluster.alive() if server is not old and is_master(server))
        slot = key_slot(b"{moving}")
        with old.connect() as source, new.connect() as target:
            new_id, old_id = (str(one.execute_command("CLUSTER", "MYID")) for one in (target, source))
            target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
            source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
            assert (await broker.read([place]))[place] == expected
            source.execute_command("MIGRATE", "127.0.0.1", new.port, "{moving}a", 0, 5000)
            for _ in range(2):
                assert (await broker.read([place]))[place] == expected  # one key is here, the other there: ASK
            source.execute_command("MIGRATE", "127.0.0.1", new.port, "{moving}b", 0, 5000)
            assert (await broker.read([place]))[place] == expected
            for one in (target, source):
                one.execute_command("CLUSTER", "SETSLOT", slot, "NODE", new_id)
        for _ in range(2):
            assert (await broker.read([place]))[place] == expected  # MOVED, and remembered
        with old.connect() as source:
            source.config_resetstat()
            await broker.read([place])
            assert "cmdstat_llen" not in source.info("commandstats")
        await broker.close()

    asyncio.run(steps())


def test_a_record_in_another_slot_has_no_age(cluster: Cluster) -> None:
    place = Place("far", ready=("far",), oldest="first", enqueued_at=("at",), record="record:{job}")
    with client_of(cluster) as client:
        near = next(f"j{n}" for n in itertools.count() if owner(cluster, f"record:j{n}") is owner(cluster, "far"))
        far = next(f"j{n}" for n in itertools.count() if owner(cluster, f"record:j{n}") is not owner(cluster, "far"))
        for job in (far, near):
            client.hset(f"record:{job}", "at", 1795680682)
        client.rpush("far", far)

        async def steps() -> None:
            broker = RedisBroker(cluster.url())
            assert (await broker.read([place]))[place] == Depth(ready=1)
            await broker.close()

        asyncio.run(steps())


def test_a_server_that_is_no_cluster(redis_server: RedisServer) -> None:
    async def steps() -> None:
        broker = RedisBroker(f"redis+cluster://127.0.0.1:{redis_server.port}")
        with pytest.raises(UnreachableError, match="is no Cluster: begin the URL with redis://"):
            await broker.read([PAYLOADS.of("q")])
        await broker.close()

    asyncio.run(steps())


def test_a_node_of_a_cluster_that_is_taken_for_a_server_of_its_own(cluster: Cluster) -> None:
    """It has some of the queues, and would tell of those only."""
    places = [Place(f"q{number}", ready=(f"q{number}",)) for number in range(20)]

    async def steps() -> None:
        broker = RedisBroker(f"redis://127.0.0.1:{cluster.alive()[0].port}/0")
        with pytest.raises(UnreachableError, match=r"is a node of a Cluster: begin the URL with redis\+cluster://"):
            await broker.read(places)
        await broker.close()

    asyncio.run(steps())


@pytest.mark.full
def test_a_master_that_dies_is_out_of_reach_until_its_replica_took_over() -> None:
    async def steps() -> None:
        with running_cluster() as cluster:
            places = [PAYLOADS.of(f"q{number}") for number in range(12)]
            broker = RedisBroker(cluster.url())
            with client_of(cluster) as client:
                for place in places:
                    client.rpush(place.ready[0], b'{"createdAt":1795680682}', b"{}")
            expected = {place: Depth(ready=2, delayed=0, due=0, reserved=0, oldest_at=1795680682) for place in places}
            assert await broker.read(places) == expected
            await asyncio.to_thread(cluster.replicated)
            killed = asyncio.ensure_future(asyncio.to_thread(cluster.kill_master_of, places[0].ready[0]))
            while not killed.done():
                began = time.monotonic()
                with contextlib.suppress(UnreachableError):
                    assert await broker.read(places) == expected
                assert time.monotonic() - began < LIMIT + SLACK
                await asyncio.sleep(0.05)
            await killed
            assert await eventually(lambda: broker.read(places)) == expected
            await broker.close()

    asyncio.run(steps())


def owner(cluster: Cluster, key: str) -> RedisServer:
    return cluster.master_of(key)


def is_master(server: RedisServer) -> bool:
    with server.connect() as client:
        return str(client.role()[0]) == "master"
