"""One server: stopped, paused, restarted, refusing; no call blocks for long, and none gets another's answer."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from fleetd.coordination.redis.connection import LIMIT, Connection
from fleetd.errors import FleetdError, UnreachableError
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.redis_steps import CHANNEL, GET, KEY, SET, connected, eventually, failure, hear, script

pytestmark = pytest.mark.redis
SECRET = "S3cretWord"


def test_scripts_and_commands_are_answered(redis_server: RedisServer) -> None:
    async def steps() -> None:
        for url in (redis_server.url, f"unix://{redis_server.socket_path}?db=0"):
            async with connected(url) as connection:
                assert await connection.run(SET, [KEY], ["1"]) == b"OK"
                assert await connection.run(GET, [KEY], []) == b"1"
                await connection.command("HSET", "h", "a", 1)
                assert await connection.command("HGETALL", "h") == [b"a", b"1"]
                with redis_server.connect() as client:
                    client.script_flush()
                assert await connection.run(GET, [KEY], []) == b"1"

    asyncio.run(steps())


def test_the_database_of_the_url_is_used(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(f"redis://127.0.0.1:{redis_server.port}/3") as connection:
            await connection.run(SET, [KEY], ["1"])
        async with connected(f"redis://127.0.0.1:{redis_server.port}/999") as connection:
            assert "has no such database" in await failure(connection.run(GET, [KEY], []))

    asyncio.run(steps())
    with redis_server.connect(3) as client:
        assert client.get(KEY) == "1"


def test_nothing_listens(tmp_path: Path) -> None:
    async def steps() -> None:
        port = free_port()
        async with connected(f"redis://me:{SECRET}@127.0.0.1:{port}/0") as connection:
            told = await failure(connection.run(GET, [KEY], []))
            assert told == f"redis://127.0.0.1:{port}/0: connection refused: no Redis listens there"
        async with connected(f"unix://{tmp_path}/none?db=0") as connection:
            assert await failure(connection.run(GET, [KEY], [])) == f"unix://{tmp_path}/none?db=0: no such socket"

    asyncio.run(steps())


def test_a_host_that_cannot_be_found() -> None:
    async def steps() -> None:
        async with connected("redis://nowhere.invalid:6379/0") as connection:
            told = await failure(connection.run(GET, [KEY], []))
            assert told.startswith("redis://nowhere.invalid:6379/0: ")

    asyncio.run(steps())


def test_a_restart_of_the_server_is_not_noticed(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.run(SET, [KEY], ["1"])
            await asyncio.to_thread(redis_server.stop)
            await asyncio.to_thread(redis_server.start)
            # Not even the first call fails: the end of the connection was seen before.
            assert await connection.run(GET, [KEY], []) is None

    asyncio.run(steps())


def test_after_a_stop_the_next_call_works_as_soon_as_the_server_is_back(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.run(SET, [KEY], ["1"])
            await asyncio.to_thread(redis_server.stop)
            assert "connection refused" in await failure(connection.run(GET, [KEY], []))
            await asyncio.to_thread(redis_server.start)
            assert await connection.run(GET, [KEY], []) is None

    asyncio.run(steps())


def test_a_paused_server_blocks_nobody_and_its_late_answer_goes_to_nobody(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.run(SET, [KEY], ["1"])
            with redis_server.paused():
                assert "no answer" in await failure(connection.run(script("return 'late'"), [], []), within=LIMIT)
                assert "no answer" in await failure(connection.run(script("return 'later'"), [], []))
            assert await connection.run(GET, [KEY], []) == b"1"

    asyncio.run(steps())


def test_calls_in_a_row_behind_one_that_hangs_are_bounded_too(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.run(SET, [KEY], ["1"])
            with redis_server.paused():
                await asyncio.gather(*(failure(connection.run(GET, [KEY], [])) for _ in range(4)))

    asyncio.run(steps())


def test_a_cancelled_call_leaves_no_answer_behind(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.run(SET, [KEY], ["1"])
            for delay in range(20):
                call = asyncio.ensure_future(connection.run(script("return 'another'"), [], []))
                for _ in range(delay):
                    await asyncio.sleep(0)
                call.cancel()
                assert await connection.run(GET, [KEY], []) == b"1"

    asyncio.run(steps())


def test_calls_at_the_same_time_each_get_their_own_answer_by_one_socket(redis_server: RedisServer) -> None:
    echo = script("return ARGV[1]")

    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            answers = await asyncio.gather(*(connection.run(echo, [], [str(number)]) for number in range(50)))
            assert answers == [str(number).encode() for number in range(50)]
            with redis_server.connect() as client:
                others = [one for one in client.client_list() if one["addr"].startswith("127.0.0.1")]
            assert len(others) == 1

    asyncio.run(steps())


def test_an_answer_that_makes_no_sense_is_another_error(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.command("LPUSH", KEY, "x")
            told = await failure(connection.run(GET, [KEY], []), FleetdError)
            assert told.startswith(f"{redis_server.url}: Redis answered: ")
            assert "WRONGTYPE" in told
            assert await connection.command("LLEN", KEY) == 1

    asyncio.run(steps())


def test_a_replica_and_a_full_server_are_out_of_reach(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.run(SET, [KEY], ["1"])
            with redis_server.connect() as client:
                client.config_set("maxmemory", "1")
                assert "OOM" in await failure(connection.run(SET, [KEY], ["2"]))
                client.config_set("maxmemory", "0")
                client.execute_command("REPLICAOF", "127.0.0.1", free_port())
                before = _connected(client)
                assert "takes no commands now" in await failure(connection.run(SET, [KEY], ["2"]))
                await _until(lambda: _connected(client) == before - 1)  # the master is looked for anew
                client.config_set("replica-serve-stale-data", "no")
                assert "takes no commands now" in await failure(connection.command("GET", KEY))
                client.execute_command("REPLICAOF", "NO", "ONE")
            assert await connection.run(SET, [KEY], ["3"]) == b"OK"

    asyncio.run(steps())


def _connected(client: redis.Redis) -> int:
    return sum(one["addr"].startswith("127.0.0.1") for one in client.client_list(_type="normal"))


def test_a_login_that_fails(redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", f">{SECRET}", "~*", "+get", "+evalsha", "+eval")
        client.execute_command("ACL", "SETUSER", "default", "off")

        async def steps() -> None:
            port = redis_server.port
            async with connected(f"redis://me:{SECRET}@127.0.0.1:{port}/0") as connection:
                assert await connection.command("GET", KEY) is None
                told = await failure(connection.command("FLUSHALL"))
                assert "lacks the permission (NOPERM) for FLUSHALL" in told
                assert "(NOPERM)" in await failure(connection.run(SET, [KEY], ["1"]))
                assert await connection.command("GET", KEY) is None
            async with connected(f"redis://me:wrong{SECRET}@127.0.0.1:{port}/0") as connection:
                told = await failure(connection.run(GET, [KEY], []))
                assert told == f"redis://127.0.0.1:{port}/0: refuses the user or the password"
                assert [hint async for hint in connection.hints(CHANNEL)] == []
            async with connected(f"redis://127.0.0.1:{port}/0") as connection:
                assert "asks for a password" in await failure(connection.run(GET, [KEY], []))

        asyncio.run(steps())


@asynccontextmanager
async def tcp_server(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A server that says `answer` of whatever comes."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(answer(await reader.read(4096)))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()
            await writer.wait_closed()


def test_what_is_not_redis_is_named_as_such() -> None:
    async def steps() -> None:
        async with (
            tcp_server(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
            connected(f"redis://127.0.0.1:{port}/0") as connection,
        ):
            told = await failure(connection.run(GET, [KEY], []))
            assert told == f"redis://127.0.0.1:{port}/0: what answers there is not Redis"

    asyncio.run(steps())


def test_a_server_that_repeats_the_password_is_not_quoted() -> None:
    def answer(heard: bytes) -> bytes:
        words = " ".join(f"`{word.decode()}`," for word in heard.split(b"\r\n")[2::2])
        return f"-ERR unknown command {words[:6]}, with args beginning with: {words}\r\n".encode()

    async def steps() -> None:
        async with tcp_server(answer) as port:
            connection = Connection(f"redis://me:{SECRET}@127.0.0.1:{port}/0")
            with pytest.raises(UnreachableError, match="does not understand the login") as caught:
                await connection.run(GET, [KEY], [])
            assert SECRET not in "".join(traceback.format_exception(caught.value))
            assert SECRET not in repr(vars(connection))
            await connection.close()

    asyncio.run(steps())


def test_nothing_secret_is_logged(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        async with connected(f"redis://me:{SECRET}@127.0.0.1:{redis_server.port}/0") as connection:
            await failure(connection.run(GET, [KEY], []))

    with caplog.at_level("DEBUG"):
        asyncio.run(steps(), debug=True)
    assert SECRET not in caplog.text


def test_a_listener_that_never_accepts_is_given_up() -> None:
    async def steps() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            async with connected(f"redis://127.0.0.1:{listener.getsockname()[1]}/0") as connection:
                for _ in range(2):
                    assert "no answer" in await failure(connection.run(GET, [KEY], []))

    asyncio.run(steps())


def test_hints_are_heard_and_end_with_the_server(redis_server: RedisServer) -> None:
    async def steps() -> None:
        with redis_server.connect() as client:
            async with connected(redis_server.url) as connection:
                assert await hear(connection, lambda: client.publish(CHANNEL, "look")) == "look"
                hints = connection.hints(CHANNEL)
                last = asyncio.ensure_future(_last(hints))
                await _until(lambda: client.pubsub_numsub(CHANNEL)[0][1] == 1)
                await asyncio.to_thread(redis_server.stop)
                async with asyncio.timeout(30):
                    assert await last == []
                assert [hint async for hint in connection.hints(CHANNEL)] == []

    asyncio.run(steps())


def test_hints_outlast_the_time_out_of_commands(redis_server: RedisServer) -> None:
    async def steps() -> None:
        with redis_server.connect() as client:
            async with connected(redis_server.url) as connection:
                hints = connection.hints(CHANNEL)
                first = asyncio.ensure_future(anext(hints))
                await _until(lambda: client.pubsub_numsub(CHANNEL)[0][1] == 1)
                done, _ = await asyncio.wait([first], timeout=2.5)  # longer than PATIENCE: nothing may happen
                assert not done
                client.publish(CHANNEL, "at last")
                assert await asyncio.wait_for(first, 30) == "at last"
                assert len([one for one in client.client_list() if one["addr"].startswith("127.0.0.1")]) == 1
                await hints.aclose()  # type: ignore[attr-defined]
                await _until(lambda: client.pubsub_numsub(CHANNEL)[0][1] == 0)

    asyncio.run(steps())


async def _last(hints: AsyncIterator[str]) -> list[str]:
    return [hint async for hint in hints]


async def _until(condition: Callable[[], object], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _sockets() -> list[str]:
    return sorted(str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_socket())


def test_close_leaves_nothing_open_and_fails_calls_that_wait(redis_server: RedisServer) -> None:
    async def steps() -> None:
        before = _sockets()
        connection = Connection(redis_server.url)
        await connection.run(SET, [KEY], ["1"])
        hints = asyncio.ensure_future(_last(connection.hints(CHANNEL)))
        with redis_server.connect() as client:
            await _until(lambda: client.pubsub_numsub(CHANNEL)[0][1] == 1)
        with redis_server.paused():
            call = asyncio.ensure_future(failure(connection.run(GET, [KEY], [])))
            await asyncio.sleep(0)
            await connection.close()
            await call
        assert await hints == []
        assert "closed" in await failure(connection.run(GET, [KEY], []))
        await _until(lambda: _sockets() == before)

    asyncio.run(steps())
    gc.collect()  # a forgotten transport warns here, and warnings are errors


def test_a_server_that_loads_its_data_is_waited_for(redis_server: RedisServer) -> None:
    async def steps() -> None:
        with redis_server.connect() as client:
            client.eval("for number = 1, 20000 do redis.call('SET', number, number) end", 0)
            client.save()
        redis_server.stop()
        # Microseconds for each key, and how often it looks at its clients.
        redis_server.arguments = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
        redis_server.start(wait=False)
        async with connected(redis_server.url) as connection:
            told: list[str] = []

            async def call() -> object:
                try:
                    return await connection.run(SET, [KEY], ["1"])
                except UnreachableError as error:
                    told.append(str(error))
                    if "LOADING" in told[-1]:
                        with redis_server.connect() as client:
                            client.config_set("key-load-delay", 0)
                    raise

            assert await eventually(call) == b"OK"
            assert any("LOADING" in line for line in told), told

    asyncio.run(steps())


def test_what_is_sent_into_a_cut_is_given_up_by_the_kernel_too(redis_server: RedisServer) -> None:
    async def steps() -> None:
        async with connected(redis_server.url) as connection:
            await connection.run(SET, [KEY], ["1"])
            assert connection._node is not None
            writer = connection._node._wire._writer
            assert writer is not None
            opened = writer.get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2000
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5

    asyncio.run(steps())
