"""What a read of many Redis queues costs: `python -m tests.bench.queue_reads`."""

from __future__ import annotations

import asyncio
import json
import statistics
import time

import redis

from fleetd.brokers.redis.broker import RedisBroker
from fleetd.frameworks.framework import builtin
from tests.support.redis_server import RedisServer, running_server

ROUNDS = 300


def main() -> None:
    """Prints a row for each case."""
    print("| queues | payloads | read: fastest, median | fleetd's CPU | Redis's CPU |")
    print("|---|---|---|---|---|")
    for queues, size, large in ((1, 500, 0), (50, 500, 0), (500, 500, 0), (50, 500, 1), (50, 16_000, 0)):
        with running_server() as server:
            print(f"| {queues} | {_words(size, large)} | {asyncio.run(measured(server, queues, size, large))} |")


def _words(size: int, large: int) -> str:
    return f"{size} bytes" + (f", {large} of 5 MB" if large else "")


async def measured(server: RedisServer, queues: int, size: int, large: int) -> str:
    """As many Laravel queues, each with 100 ready jobs, delayed and reserved ones."""
    laravel = builtin("laravel")
    assert laravel is not None
    places = [laravel.places["redis"].of(f"q{number}") for number in range(queues)]
    with server.connect() as client:
        for number, place in enumerate(places):
            length = 5_000_000 if number < large else size
            fill(client, place.ready[0], length)
            client.zadd(place.delayed[0], {f"job {n}": time.time() + n - 50 for n in range(100)})
            client.zadd(place.reserved[0], {f"job {n}": time.time() + 90 for n in range(10)})
        broker = RedisBroker(server.url)
        await broker.read(places)
        ours, theirs, took = time.process_time(), _cpu(client), list[float]()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            read = await broker.read(places)
            took.append(time.perf_counter() - began)
        ours, theirs = time.process_time() - ours, _cpu(client) - theirs
        await broker.close()
    assert all(depth.ready == 100 and depth.oldest_at for depth in read.values()), "a queue was read wrongly"
    spread = f"{_ms(min(took))}, {_ms(statistics.median(took))}"
    return f"{spread} | {_ms(ours / ROUNDS)} | {_ms(theirs / ROUNDS)}"


def fill(client: redis.Redis, key: str, length: int) -> None:
    """100 jobs, the first with a payload of this length."""
    client.rpush(key, payload(length), *(payload(500) for _ in range(99)))


def payload(length: int) -> str:
    """A job as Laravel writes it."""
    job = {"uuid": "x" * 36, "data": {"command": "y" * (length - 150)}, "createdAt": 1795680682, "attempts": 0}
    return json.dumps(job)


def _cpu(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


if __name__ == "__main__":
    main()
