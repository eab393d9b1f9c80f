"""Jobs that ended, as a framework's own stream tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
import redis

from fleetd.brokers.redis.broker import RedisBroker
from fleetd.brokers.redis.events import Events
from fleetd.core.queues import Ended, EventStream
from fleetd.frameworks.framework import builtin
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


@pytest.mark.redis
def test_bullmq_on_a_real_server(redis_server: RedisServer) -> None:
    """Beside the counts, in their round trip; a key that is no stream costs nothing else."""
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
