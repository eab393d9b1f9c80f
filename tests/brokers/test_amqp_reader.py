"""A real RabbitMQ: exchanges, round trips, permissions, TLS, and everything that may go wrong with it."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from fleetd.brokers.amqp import open as open_broker
from fleetd.brokers.amqp.acknowledging import ConsumerTimeout, consumer_timeout
from fleetd.brokers.amqp.broker import RabbitMQ as Reader
from fleetd.brokers.amqp.failures import PATIENCE
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.core.spec import BrokerSpec
from fleetd.errors import FleetdError, UnreachableError, UsageError
from tests.support.rabbitmq_queues import PLACES, client, consume, publish
from tests.support.rabbitmq_server import PASSWORD, USER, RabbitMQ, running_rabbitmq
from tests.support.redis_tls import Authority
from tests.support.relay import Relay, running_relay
from tests.support.waiting import wait_for

SLACK = 6.0  # seconds that a busy machine may add


@pytest.fixture
def url(rabbitmq: RabbitMQ) -> str:
    """Of an empty vhost."""
    return rabbitmq.vhost()


@pytest.fixture
def channel(url: str) -> Iterator[BlockingChannel]:
    """Of another client, which knows that a message is in its queue once it is published."""
    with client(url) as opened:
        opened.confirm_delivery()
        yield opened


@asynccontextmanager
async def reading(url: str, management: str | None = None) -> AsyncIterator[Reader]:
    """A reader that is closed at the end."""
    reader = open_broker(BrokerSpec("jobs", url, management=management))
    try:
        yield reader
    finally:
        await reader.close()


@asynccontextmanager
async def through_relays(
    server: RabbitMQ, url: str, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Relay, Relay, str, str]]:
    """Two relays, to AMQP and to the management API, and the URLs that lead through them."""
    async with running_relay(server.port, context) as amqp, running_relay(server.management_port, context) as api:
        there = url.replace(f":{server.port}/", f":{amqp.port}/")
        management = server.management.replace(f":{server.management_port}", f":{api.port}")
        if context is not None:
            there, management = there.replace("amqp:", "amqps:"), management.replace("http:", "https:")
        yield amqp, api, there, management


async def depths(reader: Reader, *queues: str) -> list[Depth]:
    places = [PLACES.of(queue) for queue in queues]
    read = await reader.read(places)
    return [read[place] for place in places]


def read(url: str, *queues: str, management: str | None = None) -> list[Depth]:
    async def steps() -> list[Depth]:
        async with reading(url, management) as reader:
            return await depths(reader, *queues)

    return asyncio.run(steps())


async def failure(steps: Coroutine[Any, Any, object]) -> str:
    """What is said, in how long a time a failure may take."""
    began = time.monotonic()
    with pytest.raises(FleetdError) as caught:
        await steps
    assert caught.type in {UnreachableError, UsageError, FleetdError}
    assert time.monotonic() - began < 2 * PATIENCE + SLACK
    told = str(caught.value)
    assert "\n" not in told
    assert PASSWORD not in told
    assert USER not in told
    return told


@pytest.fixture(params=[False, True], ids=["amqp", "management"])
def management(request: pytest.FixtureRequest, rabbitmq: RabbitMQ) -> str | None:
    return rabbitmq.management if request.param else None


@pytest.mark.parametrize(
    ("kind", "bindings", "keys", "told"),
    [
        ("direct", {"mail": ["mail"], "video": ["video", "audio"]}, ["mail", "video", "audio", "other"], [1, 2]),
        ("topic", {"mail": ["*.mail"], "video": ["eu.#"]}, ["eu.mail", "us.mail", "eu.x.y", "us.x"], [2, 2]),
        ("fanout", {"mail": [""], "video": [""]}, ["any", ""], [2, 2]),
    ],
)
def test_queues_that_exchanges_feed(
    url: str,
    channel: BlockingChannel,
    management: str | None,
    kind: str,
    bindings: dict[str, list[str]],
    keys: list[str],
    told: list[int],
) -> None:
    channel.exchange_declare("jobs", kind)
    for queue, patterns in bindings.items():
        channel.queue_declare(queue)
        for pattern in patterns:
            channel.queue_bind(queue, "jobs", pattern)
    for key in keys:
        channel.basic_publish("jobs", key, b"job")
    assert [depth.ready for depth in read(url, *bindings, management=management)] == told


def test_jobs_in_hand_and_consumers(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    publish(channel, "mail", 5)
    publish(channel, "mail.DQ", 4)
    with client(url) as worker, client(url) as other:
        consume(worker, "mail", 2)
        consume(other, "mail", 1)
        assert read(url, "mail") == [Depth(ready=2, delayed=4, consumers=2)]
        [told] = read(url, "mail", management=rabbitmq.management)
        assert told.consumers in {None, 2}  # it comes with the statistics
        assert told == Depth(ready=2, delayed=4, reserved=3, consumers=told.consumers)
        consume(worker, "mail.DQ", 3)  # as Dramatiq's workers do: they keep what is not due
        assert read(url, "mail")[0].delayed is None
        assert read(url, "mail", management=rabbitmq.management)[0].delayed == 4
        wait_for(lambda: read(url, "mail", management=rabbitmq.management)[0].consumers == 2, "statistics")


def test_odd_names(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel, management: str | None) -> None:
    names = ["a.b+c*d", "(x|y)$", "Ünïcödé ☃", "a/b?c&d=e#f%2F", "UPPER", "upper", "[\\", "q" * 255]
    for number, name in enumerate(names, 1):
        publish(channel, name, number)
    told = read(url, *names, "x", "q" * 256, "up\r\nper", management=management)
    assert [depth.ready for depth in told] == [*range(1, len(names) + 1), None, None, None]


# By management a quorum queue's figures are up to 5 seconds late.
@pytest.mark.parametrize("management", [False, pytest.param(True, marks=pytest.mark.full)], indirect=True)
def test_kinds_of_queues(url: str, channel: BlockingChannel, management: str | None) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "quorum": {"x-queue-type": "quorum"},
        "priorities": {"x-max-priority": 5},
        "lazy": {"x-queue-mode": "lazy"},
    }
    for kind, arguments in kinds.items():
        channel.queue_declare(kind, durable=True, arguments=arguments)
        for _ in range(3):
            channel.basic_publish("", kind, b"job")
        channel.basic_get(kind)
    wait_for(
        lambda: [depth.ready for depth in read(url, *kinds, management=management)] == [2] * len(kinds), "all counted"
    )
    if management is not None:
        assert [depth.reserved for depth in read(url, *kinds, management=management)] == [1] * len(kinds)


def test_missing_queues_hide_no_other(url: str, channel: BlockingChannel, management: str | None) -> None:
    async def steps() -> None:
        async with reading(url, management) as reader:
            for queue in ("a", "b", "c"):
                publish(channel, queue)
            assert [depth.ready for depth in await depths(reader, "a", "x", "b", "y", "c")] == [1, None, 1, None, 1]
            channel.queue_delete("a")
            channel.queue_delete("b")
            assert [depth.ready for depth in await depths(reader, "a", "b", "c")] == [None, None, 1]
            publish(channel, "b", 2)
            for _ in range(200):  # over AMQP it is asked for again a second later
                told = await depths(reader, "a", "b", "c")
                if told[1] != UNKNOWN:
                    break
                await asyncio.sleep(0.05)
            assert [depth.ready for depth in told] == [None, 2, 1]

    asyncio.run(steps())


def test_missing_queues_do_not_fill_the_servers_log(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    name = f"lost-{time.time_ns()}"

    async def steps() -> None:
        async with reading(url) as reader:
            for _ in range(20):
                assert await depths(reader, name) == [UNKNOWN]

    began = time.monotonic()
    asyncio.run(steps())
    asked = 1 + int(time.monotonic() - began)  # at most once a second
    log = rabbitmq.directory / "server.log"
    wait_for(lambda: name in log.read_text(errors="replace"), "the server to log a queue that is not there")
    assert log.read_text(errors="replace").count(name) <= 2 * asked


def test_another_ones_exclusive_queue(url: str, channel: BlockingChannel) -> None:
    channel.queue_declare("mine", exclusive=True)
    publish(channel, "ours", 2)
    assert [depth.ready for depth in read(url, "mine", "ours")] == [None, 2]


def test_fifty_queues_are_a_round_trip_each(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    names = [f"q{number}" for number in range(50)]

    async def steps() -> None:
        async with through_relays(rabbitmq, url) as (amqp, _, there, _), reading(there) as reader:
            await depths(reader, *names)  # connects
            before = amqp.turns
            assert await depths(reader, *names) == [Depth(ready=3, delayed=1, consumers=0)] * 50
            assert amqp.turns - before == 100  # with the delay queues
            assert amqp.connections == 1

    for name in names:
        publish(channel, name, 3)
        publish(channel, f"{name}.DQ")
    asyncio.run(steps())


def test_fifty_queues_are_one_call_by_management(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    names = [f"queue-with-a-long-name-{number}" for number in range(50)]

    async def steps() -> None:
        async with through_relays(rabbitmq, url) as (_, api, _, management), reading(url, management) as reader:
            assert [depth.ready for depth in await depths(reader, *names)] == [1] * 50
            assert api.connections == 2  # one for the consumers, which are asked for more rarely
            before = api.answered
            assert [depth.reserved for depth in await depths(reader, *names)] == [0] * 50
            assert api.connections == 3
            assert api.answered - before < 10_000

    for name in [*names, *(f"another-{number}" for number in range(30))]:
        publish(channel, name)
    asyncio.run(steps())


def test_a_user_who_may_only_look(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    publish(channel, "mail", 3)
    vhost = url.rpartition("/")[2]
    rabbitmq.user("viewer", "management")
    rabbitmq.permit("viewer", vhost, configure="^$", write="^$", read="^$")
    viewer = url.replace(f"//{USER}:", "//viewer:")
    assert read(viewer, "mail")[0].ready == 3
    management = rabbitmq.management.replace(f"{USER}:{PASSWORD}@", "")  # with the login of the other URL
    assert read(viewer, "mail", management=management)[0].reserved == 0


def test_refusals(rabbitmq: RabbitMQ, url: str) -> None:
    rabbitmq.user("stranger", "management")
    rabbitmq.user("nobody", "")
    wrong, stranger = url.replace(PASSWORD, "no" + PASSWORD[::-1]), url.replace(f"//{USER}:", "//stranger:")
    api = rabbitmq.management
    where, there = f"amqp://127.0.0.1:{rabbitmq.port}", f"http://127.0.0.1:{rabbitmq.management_port}"
    vhost = url.rpartition("/")[2]
    needs = "it needs the right password, the tag management and the vhost's permissions"
    expected = {
        (wrong, None): f"{where}/{vhost}: refuses the user or the password",
        (stranger, None): f"{where}/{vhost}: the user has no access to the vhost {vhost}",
        (url + "no", None): f"{where}/{vhost}no: there is no vhost {vhost}no",
        (url, api.replace(PASSWORD, "no")): f"{there}: refuses the user (Login failed): {needs}",
        (url, api.replace(USER, "nobody")): f"{there}: refuses the user (Not management user): {needs}",
        (
            url,
            api.replace(USER, "stranger"),
        ): f"{there}: refuses the user (User not authorised to access virtual host): {needs}",
        (url + "no", api): f"{there}: there is no such vhost, or this is not RabbitMQ's management API",
    }

    async def steps() -> None:
        for (amqp, management), told in expected.items():
            async with reading(amqp, management) as reader:
                for _ in range(2):
                    assert await failure(depths(reader, "mail")) == told

    asyncio.run(steps())


def test_what_is_no_rabbitmq(rabbitmq: RabbitMQ, url: str) -> None:
    amqp, management = f":{rabbitmq.port}", f":{rabbitmq.management_port}"

    async def answers(said: bytes) -> None:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = f":{server.sockets[0].getsockname()[1]}"
            async with reading(url.replace(amqp, port)) as reader:
                assert re.search("not RabbitMQ|makes no sense|was closed", await failure(depths(reader, "mail")))
            async with reading(url, rabbitmq.management.replace(management, port)) as reader:
                assert re.search(
                    "not RabbitMQ's management API|does not speak HTTP|HTTP status 302|reset",
                    await failure(depths(reader, "mail")),
                )

    async def steps() -> None:
        for said in (
            b"",
            b"HTTP/1.1 200 OK\r\n\r\n<html>",
            b"HTTP/1.1 302 Found\r\n\r\n",
            b"AMQP\0\0\x09\x01",
            b"\xff" * 99,
        ):
            await answers(said)
        async with reading(url.replace(amqp, ":1")) as reader:
            assert await failure(depths(reader, "mail")) == (
                f"amqp://127.0.0.1:1/{url.rpartition('/')[2]}: connection refused: nothing listens there"
            )
        async with reading(url.replace("127.0.0.1", "no-such-host.invalid")) as reader:
            assert "the host's name is not known" in await failure(depths(reader, "mail"))

    asyncio.run(steps())


def test_a_server_that_is_silent_is_given_up(
    rabbitmq: RabbitMQ, url: str, channel: BlockingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    publish(channel, "mail")

    async def steps() -> None:
        async with (
            through_relays(rabbitmq, url) as (amqp, api, there, management),
            reading(there) as reader,
            reading(there, management) as other,
        ):
            await asyncio.gather(depths(reader, "mail"), depths(other, "mail"))
            amqp.is_silent = api.is_silent = True
            by_management = asyncio.ensure_future(failure(depths(other, "mail")))
            for _ in range(2):  # while it is connected, and while it is not
                assert (await failure(depths(reader, "mail"))).endswith(": no answer within 2 s")
            assert (await by_management).endswith(": no answer within 2 s")
            amqp.is_silent = api.is_silent = False
            for again in (reader, other):
                assert (await depths(again, "mail"))[0].ready == 1

    asyncio.run(steps())
    assert not caplog.records  # neither pika's nor the loop's


def test_a_read_that_is_given_up_while_it_connects(rabbitmq: RabbitMQ, url: str) -> None:
    async def steps() -> None:
        async with through_relays(rabbitmq, url) as (amqp, _, there, _), reading(there) as reader:
            asked = asyncio.ensure_future(depths(reader, "mail"))
            for _ in range(100_000):
                if amqp.connections:
                    break
                await asyncio.sleep(0)
            asked.cancel()
            assert isinstance((await asyncio.gather(asked, return_exceptions=True))[0], asyncio.CancelledError)
            async with asyncio.timeout(PATIENCE + SLACK):
                await asyncio.gather(*amqp._tasks)  # the connection has ended

    asyncio.run(steps())


def test_a_connection_that_ended_since_the_last_read(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    publish(channel, "mail", 3)

    async def steps() -> None:
        async with through_relays(rabbitmq, url) as (amqp, _, there, _), reading(there) as reader:
            assert (await depths(reader, "mail"))[0].ready == 3
            await amqp.cut()
            await amqp.start()
            assert (await depths(reader, "mail"))[0].ready == 3
            assert amqp.connections == 2

    asyncio.run(steps())


@pytest.mark.full
def test_a_connection_that_the_server_ended(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    """With a reason, as one that shuts down does."""
    publish(channel, "mail", 3)

    async def steps() -> None:
        async with through_relays(rabbitmq, url) as (amqp, _, there, _), reading(there) as reader:
            assert (await depths(reader, "mail"))[0].ready == 3
            await asyncio.to_thread(end_connections, rabbitmq, url.rpartition("/")[2])
            assert (await depths(reader, "mail"))[0].ready == 3
            assert amqp.connections == 2

    asyncio.run(steps())


def end_connections(server: RabbitMQ, vhost: str) -> None:
    """All of fleetd's."""

    def ours() -> list[str]:
        found = server.call("GET", f"/api/vhosts/{vhost}/connections")
        return [each["name"] for each in found if each.get("client_properties", {}).get("product") == "fleetd"]

    for name in wait_for(ours, "the management API to know the connection"):
        server.call("DELETE", f"/api/connections/{quote(name)}")


def test_management_that_is_down(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel) -> None:
    """What answered once is missed without losing what AMQP tells; what never answered is a mistake."""
    publish(channel, "mail", 3)

    async def steps() -> None:
        async with through_relays(rabbitmq, url) as (_, api, _, management):
            async with reading(url, management) as reader:
                assert (await depths(reader, "mail"))[0].reserved == 0
                await api.cut()
                assert await depths(reader, "mail") == [Depth(ready=3, consumers=0)]
                await api.start()
                assert (await depths(reader, "mail"))[0].reserved == 0
            await api.cut()
            async with reading(url, management) as reader:
                assert "connection refused" in await failure(depths(reader, "mail"))

    asyncio.run(steps())


def test_tls(rabbitmq: RabbitMQ, url: str, channel: BlockingChannel, tmp_path: Path) -> None:
    publish(channel, "mail", 3)
    authority, strangers = Authority(tmp_path), Authority(tmp_path / "strangers")
    authority.create()
    strangers.directory.mkdir()
    strangers.create()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", "IP:127.0.0.1"))

    async def steps() -> None:
        async with through_relays(rabbitmq, url, context) as (amqp, _, there, management):
            trusting = f"{there}?cacertfile={authority.certificate}"
            async with reading(trusting) as reader, reading(trusting, management) as other:
                assert (await depths(reader, "mail"))[0].ready == 3
                assert (await depths(other, "mail"))[0].reserved == 0
                await amqp.cut()
                await amqp.start()
                assert (await depths(reader, "mail"))[0].ready == 3
            async with reading(f"{there}?verify=verify_none") as reader:
                assert (await depths(reader, "mail"))[0].ready == 3
            async with reading(f"{there}?cacertfile={strangers.certificate}") as reader:
                assert "its certificate is not trusted" in await failure(depths(reader, "mail"))
            async with reading(there.replace("amqps:", "amqp:")) as reader:
                assert "or wants TLS" in await failure(depths(reader, "mail"))
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority.certificate)
            certificate, key = authority.issue("client", "DNS:client")
            async with reading(f"{trusting}&certfile={certificate}&keyfile={key}") as reader:
                assert (await depths(reader, "mail"))[0].ready == 3
            async with reading(trusting) as reader:
                assert "TLS failed" in await failure(depths(reader, "mail"))
        async with reading(url.replace("amqp:", "amqps:")) as reader:
            assert "TLS failed" in await failure(depths(reader, "mail"))

    asyncio.run(steps())
    with pytest.raises(UsageError, match="the TLS files cannot be used"):
        open_broker(BrokerSpec("jobs", "amqps://h1?cacertfile=/nowhere.pem"))


@pytest.mark.parametrize(
    "management", ["h1:15672", "ftp://h1", "http://", "http://h1:x", "http://h1?a=b", "http://h 1"]
)
def test_a_management_url_that_makes_no_sense(management: str) -> None:
    with pytest.raises(UsageError, match="write http://HOST:15672"):
        open_broker(BrokerSpec("jobs", "amqp://h1", management=management))


def test_pika_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetd.brokers.packages.find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        open_broker(BrokerSpec("jobs", f"amqp://{USER}:{PASSWORD}@h1"))
    told = "amqp:// needs the Python package pika: pip install 'fleetd[amqp]'"
    assert str(caught.value) == f"[broker.jobs] url: {told}"


def test_the_consumer_timeout(rabbitmq: RabbitMQ, url: str) -> None:
    """What a server's own configuration says is told by no API."""
    for management in (None, rabbitmq.management):
        spec = BrokerSpec("jobs", url, management=management)
        assert asyncio.run(consumer_timeout(spec, ["mail"])) == ConsumerTimeout(1800.0, is_default=True)


@pytest.mark.full
def test_a_server_that_restarts() -> None:
    with running_rabbitmq() as server:
        with client(server.url) as channel:
            publish(channel, "mail", 2)

        async def steps() -> None:
            async with reading(server.url) as reader, reading(server.url, server.management) as other:
                assert (await depths(reader, "mail"))[0].ready == 2
                assert (await depths(other, "mail"))[0].ready == 2
                server.stop()
                for asked in (reader, other):
                    assert "connection refused" in await failure(depths(asked, "mail"))
                server.start()
                for asked in (reader, other):
                    assert (await depths(asked, "mail"))[0].ready == 0  # the queue is durable, its messages are not

        asyncio.run(steps())


def test_no_place_is_read_twice(url: str, channel: BlockingChannel) -> None:
    """Two frameworks may have one queue; it is asked for once, and answered for both."""
    publish(channel, "mail", 3)
    places = [Place("mail", ("mail",)), Place("mail", ("mail",), ("mail.DQ",))]

    async def steps() -> None:
        async with reading(url) as reader:
            told = await reader.read(places)
            assert [told[place].ready for place in places] == [3, 3]

    asyncio.run(steps())
