"""Queues in a RabbitMQ, filled by a client that is not ours, for tests of the reader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel

from fleetd.brokers.amqp import open as open_broker
from fleetd.brokers.port import Broker
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.core.spec import BrokerSpec
from fleetd.frameworks.places import Places
from tests.support.rabbitmq_server import RabbitMQ
from tests.support.relay import Relay

T = TypeVar("T")
PLACES = Places(ready=("{queue}",), delayed=("{queue}.DQ",))
ODD = (b"", b"\xff\xfe\x00", b"{}", b"[" * 1000, b"null", "ä" * 3000)


@contextmanager
def client(url: str) -> Iterator[BlockingChannel]:
    """A channel of a client of its own."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def publish(channel: BlockingChannel, queue: str, count: int = 1) -> None:
    """Messages in a queue that is made if it is not there."""
    channel.queue_declare(queue, durable=True)
    for _ in range(count):
        channel.basic_publish("", queue, b"job")


def consume(channel: BlockingChannel, queue: str, count: int) -> None:
    """A consumer that takes so many messages, and keeps them as long as the channel is open."""
    taken: list[Any] = []
    channel.basic_qos(prefetch_count=count)
    channel.basic_consume(queue, lambda *delivery: taken.append(delivery))
    while len(taken) < count:
        channel.connection.process_data_events(time_limit=1)


@dataclass(slots=True)
class RabbitWorld:
    """A vhost of its own; the reader reaches it through relays, so that it can be cut off."""

    broker: Broker
    channel: BlockingChannel
    tells: frozenset[str]
    loop: asyncio.AbstractEventLoop
    relays: list[Relay] = field(default_factory=list)
    absent: Depth = UNKNOWN

    def run(self, steps: Awaitable[T]) -> T:
        return self.loop.run_until_complete(steps)

    def place(self, queue: str) -> Place:
        return PLACES.of(queue)

    def enqueue(self, queue: str, count: int = 1, *, at: float | None = None) -> None:
        publish(self.channel, queue, count)

    def enqueue_odd(self, queue: str) -> int:
        self.channel.queue_declare(queue, durable=True)
        for payload in ODD:
            self.channel.basic_publish("", queue, payload)
        return len(ODD)

    def delay(self, queue: str, seconds: float, count: int = 1) -> None:
        publish(self.channel, f"{queue}.DQ", count)

    def reserve(self, queue: str, count: int) -> None:
        for _ in range(count):
            assert self.channel.basic_get(queue)[0]

    def drain(self, queue: str) -> None:
        self.channel.queue_purge(queue)

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        for relay in self.relays:
            self.run(relay.cut())
        yield
        for relay in self.relays:
            self.run(relay.start())


@contextmanager
def rabbit_world(server: RabbitMQ, *, by_management: bool) -> Iterator[RabbitWorld]:
    """Read over AMQP alone, or by the management API."""
    url = server.vhost()
    loop = asyncio.new_event_loop()
    amqp, management = Relay(server.port), Relay(server.management_port)
    spec = BrokerSpec(
        "jobs",
        url.replace(f":{server.port}", f":{amqp.port}"),
        management=server.management.replace(f":{server.management_port}", f":{management.port}")
        if by_management
        else None,
    )
    tells = frozenset({"delayed", "reserved"} if by_management else {"delayed"})
    with client(url) as channel:
        channel.confirm_delivery()  # a published message is in its queue
        world = RabbitWorld(open_broker(spec), channel, tells, loop, [amqp, management])
        try:
            for relay in world.relays:
                world.run(relay.start())
            yield world
        finally:
            world.run(world.broker.close())
            for relay in world.relays:
                world.run(relay.cut())
            loop.close()
