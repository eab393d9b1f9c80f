"""Jobs that ended, as a framework's own stream tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from fleetd.brokers.redis.broker import RedisBroker
from fleetd.brokers.redis.counting import Words
from fleetd.brokers.redis.events import PAGE, Events
from fleetd.core.queues import Depth, Ended, EventStream, Place
from fleetd.errors import UnreachableError
from fleetd.frameworks.framework import builtin
from tests.support.redis_queues import raw_client
from tests.support.redis_server import RedisServer

STREAM = EventStream("s", "event", "jobId", ("active",), ("completed",), ("failed",), ("delayed",))


def entries(*told: tuple[int, str, str]) -> list[tuple[bytes, list[bytes]]]:
    """Entries at so many milliseconds: what happened to which job."""
    return [(f"{at}-0".encode(), [b"event", what.encode(), b"jobId", job.encode()]) for at, what, job in told]


def ended(*answers: Sequence[tuple[int, str, str]]) -> list[tuple[Ended, ...] | None]:
    events = Events()
    return [events.ended(STREAM, entries(*answer)) for answer in answers]


def test_what_ended_before_the_first_read_is_not_told() -> None:
    assert ended([(5, "completed", "a")], []) == [None, ()]


def test_runtimes_are_measured_over_reads() -> None:
    told = [(1000, "active", "a"), (1500, "active", "b"), (2500, "failed", "b")]
    assert ended([], told, [(4000, "completed", "a"), (4000, "completed", "c")]) == [
        None,
        (Ended(failed=True, runtime=1.0),),
        (Ended(failed=False, runtime=3.0), Ended(failed=False)),
    ]


def test_a_job_that_was_given_back_is_timed_anew() -> None:
    told = [(1000, "active", "a"), (2000, "delayed", "a"), (5000, "active", "a"), (5250, "completed", "a")]
    assert ended([], told)[1] == (Ended(failed=False, runtime=0.25),)


def test_each_read_goes_on_where_the_last_one_ended() -> None:
    events = Events()
    assert events.command(STREAM) == ("XREVRANGE", "s", "+", "-", "COUNT", "1")
    events.ended(STREAM, entries((7, "active", "a")))
    assert events.command(STREAM)[:3] == ("XRANGE", "s", "(7-0")
    events.ended(STREAM, [])
    assert events.command(STREAM)[2] == "(7-0"


class Streams:
    """A server's streams, each with a "completed" entry for each millisecond from 1 to its length."""

    def __init__(self, lengths: Mapping[str, int]) -> None:
        self.lengths = dict(lengths)
        self.asked: list[list[int]] = []  # how many entries at most, by round trip
        self.most = 10_000  # entries in a round trip that the server gives in time
        self.seconds = 0.0  # that a round trip takes

    async def ask(self, commands: Iterable[Words]) -> Mapping[Words, Any]:
        asked = list(commands)
        self.asked.append([int(words[-1]) for words in asked])
        answers = {words: self._answer(words) for words in asked}
        await asyncio.sleep(self.seconds)
        if sum(map(len, answers.values())) > self.most:
            raise UnreachableError("no answer")
        return answers

    def _answer(self, words: Words) -> list[Any]:
        verb, name, start, *_, count = words
        first = 0 if verb == "XREVRANGE" else int(start[1:].partition("-")[0])
        return entries(*((at + 1, "completed", f"{at}") for at in range(first, self.lengths[name])[: int(count)]))

    def read(self, events: Events, *, seconds: float = 60) -> dict[str, int | None]:
        """How many jobs are told to have ended, by stream."""

        async def steps() -> Mapping[EventStream, tuple[Ended, ...] | None]:
            latest = asyncio.get_running_loop().time() + seconds
            return await events.read([replace(STREAM, stream=name) for name in self.lengths], self.ask, latest)

        return {each.stream: None if told is None else len(told) for each, told in asyncio.run(steps()).items()}


def test_a_long_stream_is_read_in_pages() -> None:
    events, server = Events(), Streams({"long": 1, "short": 1})
    assert server.read(events) == {"long": None, "short": None}
    server.lengths = {"long": 1 + 3 * PAGE + 7, "short": 3}
    server.asked.clear()
    assert server.read(events) == {"long": 3 * PAGE + 7, "short": 2}
    assert server.asked == [[PAGE, PAGE], [PAGE], [PAGE], [PAGE]]


def test_however_many_streams_a_round_trip_is_small_and_all_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetd.brokers.redis.events._ENOUGH", 60.0)  # this is of sizes; the next test is of the time
    names = [f"s{number}" for number in range(150)]
    events, server = Events(), Streams(dict.fromkeys(names, 0))
    server.read(events)
    server.lengths = dict.fromkeys(names, 40)
    server.asked.clear()
    assert server.read(events) == dict.fromkeys(names, 40)
    assert max(map(sum, server.asked)) <= 2000


def test_streams_that_there_was_no_time_for_come_first_in_the_next_read(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"s{number}" for number in range(150)]
    events, server = Events(), Streams(dict.fromkeys(names, 0))
    server.read(events)
    monkeypatch.setattr("fleetd.brokers.redis.events._ENOUGH", 0.05)
    server.lengths, server.seconds = dict.fromkeys(names, 5), 0.06  # one round trip in a read
    assert server.read(events) == dict.fromkeys(names[:100], 5) | dict.fromkeys(names[100:], 0)
    server.lengths = dict.fromkeys(names, 6)
    assert server.read(events) == dict.fromkeys(names[:50], 1) | dict.fromkeys(names[50:100], 0) | dict.fromkeys(
        names[100:], 6
    )


def test_a_server_too_slow_for_a_page_is_asked_for_smaller_ones() -> None:
    events, server = Events(), Streams({"a": 0})
    server.read(events)
    server.lengths, server.most = {"a": 1000}, 100
    assert server.read(events) == {"a": 0}
    told = [server.read(events)["a"] for _ in range(100)]
    assert sum(count or 0 for count in told) == 1000


@pytest.mark.full
@pytest.mark.redis
def test_five_full_streams_cost_neither_the_depths_nor_the_loop(redis_server: RedisServer) -> None:
    """BullMQ keeps 10,000 entries of a queue, half a second of redis-py's time."""
    streams = [replace(STREAM, stream=f"{number}:events") for number in range(5)]
    places = [Place(each.stream, ready=(each.stream[0],), events=each) for each in streams]

    async def steps() -> None:
        broker = RedisBroker(redis_server.url)
        await broker.read(places)
        with raw_client(redis_server) as client:
            client.eval(
                "for s = 0, 4 do for i = 1, 10000 do redis.call('XADD', s .. ':events', i .. '-0', 'event', "
                "'completed', 'jobId', i, 'prev', 'active', 'returnvalue', 'null') end "
                "redis.call('RPUSH', s, 'job') end",
                0,
            )
        left = dict.fromkeys(places, 10_000)
        for _ in range(30):
            read = asyncio.ensure_future(broker.read(places))
            stalled = 0.0
            while not read.done():
                began = time.thread_time()  # its own work: the machine has other things to do
                await asyncio.sleep(0)
                stalled = max(stalled, time.thread_time() - began)
            assert stalled < 0.5
            for place, found in read.result().items():
                assert found.ready == 1
                left[place] -= len(found.ended or ())
            if not any(left.values()):
                break
        assert set(left.values()) == {0}
        await broker.close()

    asyncio.run(steps())


@pytest.mark.redis
def test_streams_that_cannot_be_read_cost_nothing_but_themselves(redis_server: RedisServer) -> None:
    place = Place("q", ready=("q",), events=STREAM)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Cuts the connection where entries of a stream are asked for."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)

        async def answer() -> None:
            while piece := await server_reader.read(65536):
                writer.write(piece)

        answers = asyncio.ensure_future(answer())
        while (piece := await reader.read(65536)) and b"XRANGE" not in piece:
            server_writer.write(piece)
        server_writer.close()
        await answers
        writer.close()

    async def steps() -> list[Depth]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        broker = RedisBroker(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        try:
            return [(await broker.read([place]))[place] for _ in range(3)]
        finally:
            await broker.close()
            server.close()

    with redis_server.connect() as client:
        client.rpush("q", 1, 2)
    assert asyncio.run(steps()) == [Depth(ready=2), Depth(ready=2, ended=()), Depth(ready=2, ended=())]


@pytest.mark.redis
def test_bullmq_on_a_real_server(redis_server: RedisServer) -> None:
    """Beside the counts; a key that is no stream costs nothing else."""
    framework = builtin("bullmq")
    assert framework is not None
    place, junk = (framework.place("redis", queue, None) for queue in ("mail", "junk"))
    assert place is not None
    assert junk is not None

    async def steps(add: Callable[[str, str], None], client: redis.Redis) -> None:
        broker = RedisBroker(redis_server.url)
        try:
            client.set("bull:junk:events", "no stream")
            add("active", "1")
            first = await broker.read([place, junk])
            assert [(first[each].ready, first[each].ended) for each in (place, junk)] == [(0, None), (0, None)]
            assert (await broker.read([place]))[place].ended == ()
            add("active", "2")
            add("completed", "2")
            add("failed", "1")
            done, failed = (await broker.read([place, place]))[place].ended or ()
            assert (done.failed, failed) == (False, Ended(failed=True))
            assert done.runtime is not None
            assert (await broker.read([place]))[place].ended == ()
            client.flushall()
            assert (await broker.read([place]))[place].ended == ()
            add("completed", "3")
            assert (await broker.read([place]))[place].ended == (Ended(failed=False),)
        finally:
            await broker.close()

    with redis_server.connect() as client:
        asyncio.run(
            steps(lambda what, job: client.xadd("bull:mail:events", {"event": what, "jobId": job}), client)  # type: ignore[arg-type, return-value]
        )
