"""One server: round trips, types of keys, times, permissions, and everything that may go wrong with it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from fleetd.brokers.redis import oldest
from fleetd.brokers.redis.broker import LIMIT, RedisBroker
from fleetd.core.queues import UNKNOWN, Depth, EventStream, Place
from fleetd.errors import FleetdError, UnreachableError
from fleetd.frameworks.places import Places
from tests.support.counting_proxy import Turns, counting_proxy
from tests.support.ports import free_port
from tests.support.redis_queues import ODD, PAYLOADS, raw_client
from tests.support.redis_server import RedisServer, running_server
from tests.support.redis_steps import eventually, failure
from tests.support.redis_tls import running_tls_server

pytestmark = pytest.mark.redis
SECRET = "S3cretWord"
ROOT = Path(__file__).parents[2]
PLAIN = Places(ready=("{queue}",), delayed=("{queue}:later",), reserved=("{queue}:taken",))


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[RedisBroker]:
    """A broker that is closed at the end."""
    broker = RedisBroker(url)
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def counted(server: RedisServer) -> AsyncIterator[tuple[RedisBroker, Turns]]:
    """A broker, and what passes between it and the server."""
    async with counting_proxy(server.port) as turns, reading(f"redis://127.0.0.1:{turns.port}/0") as broker:
        yield broker, turns


async def depth(broker: RedisBroker, place: Place) -> Depth:
    return (await broker.read([place]))[place]


def read(url: str, *places: Place) -> Mapping[Place, Depth]:
    async def steps() -> Mapping[Place, Depth]:
        async with reading(url) as broker:
            return await broker.read(places)

    return asyncio.run(steps())


def fill(client: redis.Redis, queues: int) -> None:
    """As many queues, the first with no job, the next with one and so on; each with delayed and reserved jobs."""
    now = time.time()
    for number in range(queues):
        place = PAYLOADS.of(f"q{number}")
        for job in range(number):
            client.rpush(place.ready[0], json.dumps({"createdAt": int(now) - 1000 + job}))
        client.zadd(place.delayed[0], {"a": now - 5, "b": now + 50, "c": now + 60})
        client.zadd(place.reserved[0], {"d": now + 90})


def test_fifty_queues_are_one_round_trip(redis_server: RedisServer) -> None:
    async def steps() -> None:
        places = [PAYLOADS.of(f"q{number}") for number in range(50)]
        async with counted(redis_server) as (broker, turns):
            await broker.read(places)  # connects, and brings the script
            before = turns.trips
            with redis_server.connect() as client:
                client.config_resetstat()
            found = await broker.read(places)
            assert turns.trips == before + 1
            assert turns.connections == 1
            with redis_server.connect() as client:
                calls = {name: one["calls"] for name, one in client.info("commandstats").items()}
            inside = calls["cmdstat_lindex"]
            assert sum(calls.values()) - inside - calls.get("cmdstat_hello", 0) <= 50 * 5 + 5
        for number, place in enumerate(places):
            assert found[place].ready == number
            assert (found[place].delayed, found[place].due, found[place].reserved) == (2, 1, 1)
            assert (found[place].oldest_at is None) == (number == 0)

    with redis_server.connect() as client:
        fill(client, 50)
    asyncio.run(steps())


def test_a_first_read_is_three_round_trips_and_the_script_is_brought_again(redis_server: RedisServer) -> None:
    async def steps() -> None:
        place = PAYLOADS.of("q3")
        async with counted(redis_server) as (broker, turns):
            assert (await depth(broker, place)).oldest_at is not None
            assert turns.trips == 3  # the clock, the queues, the script
            with redis_server.connect() as client:
                client.script_flush()
            assert (await depth(broker, place)).oldest_at is not None
            assert turns.trips == 5

    with redis_server.connect() as client:
        fill(client, 4)
    asyncio.run(steps())


def test_of_a_payload_of_megabytes_little_comes_over_the_network(redis_server: RedisServer) -> None:
    async def steps() -> None:
        place = PAYLOADS.of("big")
        async with counted(redis_server) as (broker, turns):
            assert (await depth(broker, place)).oldest_at == 1795680682
            before = turns.bytes_answered
            assert (await depth(broker, place)).oldest_at == 1795680682
            assert turns.bytes_answered - before < 20_000

    with raw_client(redis_server) as client:
        client.rpush(PAYLOADS.of("big").ready[0], json.dumps({"data": "x" * 5_000_000, "createdAt": 1795680682}))
    asyncio.run(steps())


def test_every_type_of_key_is_counted(redis_server: RedisServer) -> None:
    ready = ("a:list", "a:zset", "a:set", "a:hash", "a:stream", "a:none")
    place = Place("a", ready=ready, reserved=ready, delayed=("a:zset",))
    unknown = Place("a", ready=ready, reserved=ready, delayed=ready)

    async def steps() -> None:
        async with counted(redis_server) as (broker, turns):
            assert await depth(broker, place) == Depth(ready=15, reserved=15, delayed=1, due=1)
            assert await depth(broker, unknown) == Depth(ready=15, reserved=15, delayed=14, due=None)
            before = turns.trips
            assert (await depth(broker, unknown)).ready == 15
            assert turns.trips == before + 1  # the types are known by now
            with redis_server.connect() as client:
                client.flushdb()
                client.sadd("a:list", "x")  # another type than before
                client.rpush("a:zset", "x", "y")
            assert await depth(broker, unknown) == Depth(ready=3, reserved=3, delayed=3, due=None)
            with redis_server.connect() as client:
                client.flushdb()
            assert await depth(broker, unknown) == Depth(ready=0, reserved=0, delayed=0, due=0)

    with redis_server.connect() as client:
        client.rpush("a:list", 1, 2, 3)
        client.zadd("a:zset", {"x": 1, "y": time.time() + 1000})
        client.sadd("a:set", 1, 2, 3, 4)
        client.hset("a:hash", mapping={"a": 1, "b": 2, "c": 3, "d": 4, "e": 5})
        client.xadd("a:stream", {"a": 1})
    asyncio.run(steps())


def test_a_key_that_holds_no_queue(redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        client.set("queue", SECRET)
    place = PLAIN.of("queue")

    async def steps() -> None:
        async with reading(redis_server.url) as broker:
            told = await failure(broker.read([place]), FleetdError)
            assert (
                told == f"{redis_server.url}: queue is a string there, which holds no jobs: are prefix and queue right?"
            )
            for _ in range(2):
                found = await broker.read([place, PLAIN.of("other")])
                assert found == {place: UNKNOWN, PLAIN.of("other"): Depth(ready=0, delayed=0, due=0, reserved=0)}
            with redis_server.connect() as client:
                client.delete("queue")
            assert (await depth(broker, place)).ready == 0

    asyncio.run(steps())


def test_what_is_due_is_judged_by_the_clock_of_the_server(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400)  # this host's is a day ahead
    with redis_server.connect() as client:
        client.zadd("q:later", {"a": now - 60, "b": now + 60, "c": now + 3600})
        client.zadd("b:later", {"a": (now - 60) * 4096000 + 7, "b": (now + 60) * 4096000})
    bullmq = Place("b", ready=("b",), delayed=("b:later",), due_unit=4096000)
    found = read(redis_server.url, PLAIN.of("q"), bullmq)
    assert (found[PLAIN.of("q")].due, found[PLAIN.of("q")].delayed) == (1, 2)
    assert (found[bullmq].due, found[bullmq].delayed) == (1, 1)


def test_no_payload_however_odd_hides_the_others(redis_server: RedisServer) -> None:
    with raw_client(redis_server) as client:
        for number, payload in enumerate(ODD):
            client.rpush(PAYLOADS.of(f"odd{number}").ready[0], payload)
        client.rpush(PAYLOADS.of("good").ready[0], b'{"createdAt":"2026-11-26T08:11:22Z"}')
    places = [PAYLOADS.of(f"odd{number}") for number in range(len(ODD))]
    found = read(redis_server.url, *places, PAYLOADS.of("good"))
    assert [found[place].ready for place in places] == [1] * len(ODD)
    assert [found[place].oldest_at for place in places] == [None] * len(ODD)
    assert found[PAYLOADS.of("good")].oldest_at == 1795680682


def test_records_that_are_odd(redis_server: RedisServer) -> None:
    place = Place("q", ready=("q",), oldest="last", enqueued_at=("a", "b"), record="r:{job}")
    holder = Place("h", ready=("q",), oldest="last", enqueued_at=("a",), record="r", record_field="f{job}%1")
    cases: list[tuple[dict[str, str], float | None]] = [
        ({}, None),
        ({"a": "?", "b": "1795680682"}, 1795680682),
        ({"a": "x" * 1000, "b": "1795680682000"}, 1795680682),
        ({"a": "x" * 1000}, None),
        ({"c": "1795680682"}, None),
    ]
    with redis_server.connect() as client:
        for job in ("%1", "x" * 511, "{job}"):
            for record, expected in cases:
                client.delete("q", f"r:{job}")
                client.rpush("q", "other", job)
                if record:
                    client.hset(f"r:{job}", mapping=record)
                assert read(redis_server.url, place)[place] == Depth(ready=2, oldest_at=expected)
            client.hset("r", f"f{job}%1", '{"a":1795680682}')
            assert read(redis_server.url, holder)[holder].oldest_at == 1795680682
        client.delete("r:{job}")
        client.set("r:{job}", "no hash")
        assert read(redis_server.url, place)[place] == Depth(ready=2)
        client.rpush("q", "x" * 513)
        client.hset("r:" + "x" * 513, "a", "1795680682")
        assert read(redis_server.url, place)[place] == Depth(ready=3)  # no id is that long


def test_database_and_unix_socket(redis_server: RedisServer) -> None:
    place = PLAIN.of("q")
    with redis_server.connect(3) as client:
        client.rpush("q", 1, 2)
    assert read(f"redis://127.0.0.1:{redis_server.port}/3", place)[place].ready == 2
    assert read(f"unix://{redis_server.socket_path}?db=3", place)[place].ready == 2
    assert read(redis_server.url, place)[place].ready == 0


def test_tls(tmp_path: Path) -> None:
    with running_tls_server() as tls:
        with tls.server.connect() as client:
            client.rpush("q", 1, 2)
        url = f"rediss://127.0.0.1:{tls.port}/0?ssl_ca_certs={tls.authority.certificate}"
        assert read(url, PLAIN.of("q"))[PLAIN.of("q")].ready == 2

        async def steps() -> None:
            async with reading(f"rediss://127.0.0.1:{tls.port}/0") as broker:
                assert "its certificate is not trusted" in await failure(broker.read([PLAIN.of("q")]))

        asyncio.run(steps())


def test_a_paused_server_blocks_nobody_and_its_late_answer_goes_to_nobody(redis_server: RedisServer) -> None:
    async def steps() -> None:
        with redis_server.connect() as client:
            client.rpush("q", 1, 2)
        async with reading(redis_server.url) as broker:
            assert (await depth(broker, PLAIN.of("q"))).ready == 2
            with redis_server.paused():
                for queue in ("q", "other"):
                    ticks = asyncio.ensure_future(_turns_of_the_loop())
                    assert "no answer" in await failure(broker.read([PLAIN.of(queue)]), within=LIMIT)
                    ticks.cancel()
                    assert await ticks > 20, "the loop waited, too"
            assert (await depth(broker, PLAIN.of("q"))).ready == 2

    asyncio.run(steps())


async def _turns_of_the_loop() -> int:
    """How often it came to us until we are cancelled, a hundred times a second at most."""
    turns = 0
    try:
        while True:
            await asyncio.sleep(0.01)
            turns += 1
    except asyncio.CancelledError:
        return turns


def test_a_restart_of_the_server_is_not_noticed(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with reading(redis_server.url) as broker:
            await broker.read([PLAIN.of("q")])
            with redis_server.connect() as client:
                client.client_kill_filter(_type="normal", skipme=True)  # the end of it is not seen before the next read
            assert (await depth(broker, PLAIN.of("q"))).ready == 0
            await asyncio.to_thread(redis_server.stop)
            await asyncio.to_thread(redis_server.start)
            assert (await depth(broker, PLAIN.of("q"))).ready == 0

    asyncio.run(steps())


def test_reads_at_the_same_time_and_one_that_is_cancelled(redis_server: RedisServer) -> None:
    async def steps() -> None:
        with redis_server.connect() as client:
            client.rpush("q", 1, 2)
            client.rpush("r", 1)
        async with reading(redis_server.url) as broker:
            both = await asyncio.gather(*(depth(broker, PLAIN.of(queue)) for queue in "qrqr"))
            assert [found.ready for found in both] == [2, 1, 2, 1]
            for delay in range(20):
                call = asyncio.ensure_future(broker.read([PLAIN.of("q")]))
                for _ in range(delay):
                    await asyncio.sleep(0)
                call.cancel()
                assert (await depth(broker, PLAIN.of("r"))).ready == 1
        assert "the connection was closed" in await failure(broker.read([PLAIN.of("q")]))

    asyncio.run(steps())


def test_a_login_that_fails_shows_no_secret(redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", f">{SECRET}", "~*", "+@read", "+time", "+select")
        client.execute_command("ACL", "SETUSER", "default", "off")

    async def steps() -> None:
        port, place = redis_server.port, PLAIN.of("q")
        start = f"redis://127.0.0.1:{port}/0: "
        async with reading(f"redis://me:{SECRET}@127.0.0.1:{port}/0") as broker:
            assert (await depth(broker, place)).ready == 0
        async with reading(f"redis://me:wrong{SECRET}@127.0.0.1:{port}/0") as broker:
            assert await failure(broker.read([place])) == f"{start}refuses the user or the password"
        async with reading(f"redis://127.0.0.1:{port}/0") as broker:
            assert await failure(broker.read([place])) == (
                f"{start}asks for a password: write user:password@ before the host"
            )
        async with reading(f"redis://me:{SECRET}@127.0.0.1:{free_port()}/0") as broker:
            assert SECRET not in await failure(broker.read([place]))
        async with reading(f"redis://me:{SECRET}@127.0.0.1:{port}/999") as broker:
            assert "has no such database" in await failure(broker.read([place]))

    asyncio.run(steps())


def test_a_server_that_is_loading_is_out_of_reach(redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        for number in range(1000):
            client.rpush(f"q{number}", "x" * 2000)
        client.save()
    redis_server.stop()
    redis_server.arguments = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")
    redis_server.start(wait=False)

    async def steps() -> None:
        async with reading(redis_server.url) as broker:
            told, deadline = "", time.monotonic() + 30
            while "LOADING" not in told:  # before, it does not listen
                assert time.monotonic() < deadline
                told = await failure(broker.read([PLAIN.of("q1")]))
            assert told.startswith(f"{redis_server.url}: takes no commands now (LOADING: ")
            with redis_server.connect() as client:
                client.config_set("key-load-delay", 0)
            assert (await eventually(lambda: depth(broker, PLAIN.of("q1")))).ready == 1

    asyncio.run(steps())


def test_a_replica_that_has_lost_its_master_and_says_so_is_out_of_reach(redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        client.config_set("replica-serve-stale-data", "no")
        client.replicaof("127.0.0.1", free_port())

    async def steps() -> None:
        async with reading(redis_server.url) as broker:
            told = await failure(broker.read([PLAIN.of("q")]))
            assert told.startswith(f"{redis_server.url}: takes no commands now (MASTERDOWN: ")

    asyncio.run(steps())


def test_a_replica_is_as_good(redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        client.config_set("repl-diskless-sync-delay", 0)
        fill(client, 4)
    with running_server("--replicaof", f"127.0.0.1 {redis_server.port}") as replica:

        async def steps() -> None:
            async with reading(replica.url) as broker:
                deadline = time.monotonic() + 20
                while (found := await depth(broker, PAYLOADS.of("q3"))).ready != 3:
                    assert time.monotonic() < deadline, "the replica does not follow"
                    await asyncio.sleep(0.05)
                assert found.oldest_at is not None
                assert found.due == 1

        asyncio.run(steps())


# -- permissions ------------------------------------------------------------------------------------------------------


def reader_line() -> str:
    return (ROOT / "configs/redis/reader.acl").read_text().strip()


def knows_read_only(server: RedisServer) -> bool:
    with server.connect() as client:
        return int(str(client.info("server")["redis_version"]).split(".")[0]) >= 7


def test_the_user_of_the_page_can_read_and_nothing_else(redis_server: RedisServer) -> None:
    if not knows_read_only(redis_server):
        pytest.skip("Redis before 7 has no permission to read only")
    record = Place("r", ready=("r",), oldest="first", enqueued_at=("at",), record="r:{job}")
    told = Place("t", ready=("t",), events=EventStream("t:events", "event", "job", done=("completed",)))
    kinds = Place("k", ready=("k:set", "k:hash", "k:stream"), reserved=("k:zset", "k:list"))
    with redis_server.connect() as client:
        client.execute_command(*reader_line().replace("PASSWORD", SECRET).split())
        fill(client, 4)
        client.rpush("r", "job")
        client.hset("r:job", "at", "1795680682")
        client.sadd("k:set", 1)
        client.hset("k:hash", "a", 1)
        client.xadd("k:stream", {"a": 1})
        client.zadd("k:zset", {"a": 1})
        client.rpush("k:list", 1)
        client.xadd("t:events", {"event": "completed", "job": "1"})
    url = f"redis://fleetd-reader:{SECRET}@127.0.0.1:{redis_server.port}/0"
    found = read(url, PAYLOADS.of("q3"), record, kinds)
    assert (found[PAYLOADS.of("q3")].ready, found[PAYLOADS.of("q3")].due) == (3, 1)
    assert found[PAYLOADS.of("q3")].oldest_at is not None
    assert found[record] == Depth(ready=1, oldest_at=1795680682)
    assert found[kinds] == Depth(ready=3, reserved=2)

    async def reads_twice() -> Depth:
        async with reading(url) as broker:
            await broker.read([told])
            return (await broker.read([told]))[told]

    assert asyncio.run(reads_twice()).ended == ()
    user = redis.Redis(port=redis_server.port, username="fleetd-reader", password=SECRET, socket_timeout=5)
    for words in (
        ("RPUSH", "q", "1"),
        ("DEL", "r"),
        ("GET", "q"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
    ):
        for asked in (words, ("EVAL_RO", f"return redis.call({','.join(map(repr, words))})", 0)):
            with pytest.raises(redis.ResponseError):
                user.execute_command(*asked)
    user.close()


def test_the_page_shows_the_line_and_it_lists_what_is_used() -> None:
    line = reader_line()
    assert line in (ROOT / "docs/redis.md").read_text()
    used = {"select", "role", "cluster|slots", "asking", "time", "type", "evalsha_ro", "eval_ro", "zcount"}
    used |= {"llen", "zcard", "scard", "hlen", "xlen", "xrange", "xrevrange"}
    used |= {found.lower() for found in re.findall(r"redis\.p?call\('(\w+)'", oldest.script()[0])}
    assert {word[1:] for word in line.split() if word.startswith("+")} == used


@pytest.mark.parametrize("allowed", ["", "+eval +evalsha", "+eval_ro +evalsha_ro"])
def test_without_permission_for_scripts_only_the_age_is_missing(redis_server: RedisServer, allowed: str) -> None:
    with redis_server.connect() as client:
        fill(client, 4)
        client.execute_command("ACL", "SETUSER", "me", "on", f">{SECRET}", "~*", "+@read", "+time", *allowed.split())

    async def steps() -> None:
        async with reading(f"redis://me:{SECRET}@127.0.0.1:{redis_server.port}/0") as broker:
            for _ in range(3):
                found = await depth(broker, PAYLOADS.of("q3"))
                assert (found.ready, found.delayed, found.due, found.reserved) == (3, 2, 1, 1)
                assert (found.oldest_at is not None) == bool(allowed)
            with redis_server.connect() as client:
                client.config_resetstat()
                for _ in range(50):
                    await broker.read([PAYLOADS.of("q3")])
                stats = client.info("commandstats").items()
                assert sum(one["rejected_calls"] for name, one in stats if "eval" in name) <= 2  # what is refused rests
                client.execute_command("ACL", "SETUSER", "me", "+eval", "+evalsha")
                for _ in range(60):
                    found = await depth(broker, PAYLOADS.of("q3"))
                assert found.oldest_at is not None  # allowed meanwhile, which is found out after a while

    asyncio.run(steps())


def test_a_missing_permission_is_named(redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", f">{SECRET}", "~q*", "+@read")

    async def steps() -> None:
        async with reading(f"redis://me:{SECRET}@127.0.0.1:{redis_server.port}/0") as broker:
            told = await failure(broker.read([PLAIN.of("q")]))
            assert "lacks the permission (NOPERM) for TIME: give it what docs/redis.md lists for reading queues" in told
            with redis_server.connect() as client:
                client.execute_command("ACL", "SETUSER", "me", "+time")
            assert (await depth(broker, PLAIN.of("q"))).ready == 0
            told = await failure(broker.read([PLAIN.of("other"), PLAIN.of("others")]))
            assert "(NOPERM)" in told
            assert SECRET not in told
            found = await broker.read([PLAIN.of("other"), PLAIN.of("q")])
            assert (found[PLAIN.of("other")], found[PLAIN.of("q")].ready) == (UNKNOWN, 0)
            assert (await depth(broker, PLAIN.of("q"))).ready == 0

    asyncio.run(steps())


def test_errors_are_unreachable_errors(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with reading(redis_server.url) as broker:
            await asyncio.to_thread(redis_server.stop)
            with pytest.raises(UnreachableError, match="connection refused"):
                await broker.read([PLAIN.of("q")])

    asyncio.run(steps())
