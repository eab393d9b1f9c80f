"""Queues in Amazon SQS, by real boto3: what it counts, how often it asks, and every way to have no answer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any, Self

import pytest

from fleetd.brokers import sqs
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.core.spec import BrokerSpec
from fleetd.errors import FleetdError, UnreachableError
from tests.brokers.contract import BrokerContract
from tests.support.reading import depths_of
from tests.support.sqs_server import CREDENTIALS, REGION, SqsServer, SqsWorld, running_sqs

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server() -> Iterator[SqsServer]:
    with running_sqs() as found:
        yield found


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def client(server: SqsServer) -> Iterator[Any]:
    """What fills the queues; a tenth of a second of computing, each."""
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def world(server: SqsServer, client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqsWorld]:
    @contextmanager
    def paused() -> Iterator[None]:
        with server.paused(), monkeypatch.context() as patch:
            patch.setattr(sqs, "_WITHIN", 0.5)
            yield

    with asyncio.Runner() as runner:
        world = SqsWorld(sqs.open(spec(server.endpoint)), server, client, runner, paused)
        yield world
        world.run(world.broker.close())


class TestSqs(BrokerContract):
    pass


def spec(endpoint: str | None, url: str = f"sqs://{REGION}") -> BrokerSpec:
    return BrokerSpec("sqs", url, endpoint=endpoint)


def place(*names: str) -> Place:
    return Place(queue=names[0], ready=names)


@pytest.fixture
def amazon() -> Iterator[Amazon]:
    with Amazon() as found:
        yield found


class Amazon(ThreadingHTTPServer):
    """What answers every request alike, and knows how many were in hand at once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.code, self.wait = 200, "", 0.0
        self.only = ""  # the queue that this answer is for; "" for all
        self.now, self.most, self.targets = 0, 0, list[str]()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Who gives a call up hangs up; a traceback would be written while another test runs."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Amazon

    def do_POST(self) -> None:
        amazon = self.server
        with amazon.lock:
            amazon.now += 1
            amazon.most = max(amazon.most, amazon.now)
            amazon.targets.append(self.headers["X-Amz-Target"])
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked.get("QueueName") or asked["QueueUrl"].rpartition("/")[2]
        if amazon.wait:
            time.sleep(amazon.wait)
        with amazon.lock:
            amazon.now -= 1
        names = ("", "Delayed", "NotVisible")
        counts = ", ".join(f'"ApproximateNumberOfMessages{name}": "7"' for name in names)
        body = f'{{"QueueUrl": "{amazon.endpoint}/1/{name}", "Attributes": {{{counts}}}}}'
        is_refused = bool(amazon.code) and amazon.only in {"", name}
        if is_refused:
            message = "User: arn:aws:iam::1:user/s0meone may not"
            body = f'{{"__type": "com.amazonaws.sqs#{amazon.code}", "message": "{message}"}}'
        self.send_response(amazon.status if is_refused or not amazon.code else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_each_queue_has_its_own_counts(world: SqsWorld) -> None:
    world.enqueue("default", 5)
    world.delay("default", 300)
    world.reserve("default", 2)
    world.enqueue("media", 1)
    world.url("empty")
    queues = ["default", "media", "empty", "nowhere"]
    found = world.run(world.broker.read([world.place(queue) for queue in queues]))
    assert [found[world.place(queue)] for queue in queues] == [
        Depth(ready=3, delayed=1, reserved=2),
        Depth(ready=1, delayed=0, reserved=0),
        Depth(ready=0, delayed=0, reserved=0),
        UNKNOWN,
    ]


def test_a_queue_may_be_named_by_its_url_and_stand_in_several(world: SqsWorld) -> None:
    world.enqueue("default", 2)
    world.enqueue("urgent", 3)
    url, named, absent = world.url("default"), world.prefix + "urgent", world.prefix + "absent"
    places = [place(url), place(url, named), place(url, absent)]
    found = world.run(world.broker.read(places))
    assert [found[each].ready for each in places] == [2, 5, None]


def test_a_queue_that_was_deleted_and_made_anew_is_seen(world: SqsWorld) -> None:
    world.enqueue("default", 2)
    places = [world.place("default")]
    assert world.run(world.broker.read(places))[places[0]].ready == 2
    world.client.delete_queue(QueueUrl=world.url("default"))
    assert world.run(world.broker.read(places))[places[0]] == UNKNOWN
    world.enqueue("default", 1)
    assert world.run(world.broker.read(places))[places[0]].ready == 1


def test_the_visibility_timeout_of_a_queue(world: SqsWorld) -> None:
    world.url("slow", VisibilityTimeout="90")
    asked = spec(world.server.endpoint)
    assert world.run(sqs.visibility_timeout(asked, world.prefix + "slow")) == 90.0
    assert world.run(sqs.visibility_timeout(asked, world.prefix + "nowhere")) is None


def test_urls_are_asked_for_once_and_ten_calls_are_in_flight_at_most(amazon: Amazon) -> None:
    amazon.wait = 0.02
    places = [place(f"queue-{number}") for number in range(20)]

    async def twice() -> None:
        broker = sqs.open(spec(amazon.endpoint))
        for _ in range(2):
            assert set((await broker.read(places)).values()) == {Depth(ready=7, delayed=7, reserved=7)}
        await broker.close()

    asyncio.run(twice())
    targets = [target.rpartition(".")[2] for target in amazon.targets]
    assert (targets.count("GetQueueUrl"), targets.count("GetQueueAttributes")) == (20, 40)
    assert 2 <= amazon.most <= 10


def test_refusals_are_one_line_each(amazon: Amazon) -> None:
    refusals = [
        (403, "InvalidClientTokenId", r"the credentials are refused \(InvalidClientTokenId\)"),
        (403, "SignatureDoesNotMatch", r"the credentials are refused"),
        (403, "ExpiredTokenException", r"the credentials are refused"),
        (400, "AccessDeniedException", r"queue q: the user lacks sqs:GetQueueUrl and sqs:GetQueueAttributes"),
        (400, "RequestThrottled", r"too many requests \(RequestThrottled\): read less often, with `every`"),
        (400, "ThrottlingException", r"too many requests"),
        (503, "", r"takes no requests now \(503\)"),
        (500, "InternalFailure", r"takes no requests now"),
        (400, "SomethingNew", r"queue q: the answer was SomethingNew"),
    ]

    async def whole() -> None:
        broker = sqs.open(spec(amazon.endpoint))
        for amazon.status, amazon.code, words in refusals:
            with pytest.raises(FleetdError, match=rf"^Amazon SQS in {REGION}: {words}") as caught:
                await broker.read([place("q")])
            assert amazon.code == "SomethingNew" or isinstance(caught.value, UnreachableError)
            assert_no_secret(caught.value)
        await broker.close()

    asyncio.run(whole())


def test_a_queue_that_may_not_be_read_is_unknown_while_others_are_read(amazon: Amazon) -> None:
    amazon.status, amazon.code, amazon.only = 400, "AccessDeniedException", "secret"
    broker = sqs.open(spec(amazon.endpoint))
    found = depths_of(broker, [place("q"), place("secret"), place("q", "secret")])
    assert found == [Depth(ready=7, delayed=7, reserved=7), UNKNOWN, UNKNOWN]
    with pytest.raises(UnreachableError, match=r"queue secret: the user lacks sqs:GetQueueUrl"):
        depths_of(sqs.open(spec(amazon.endpoint)), [place("secret")])


def assert_no_secret(error: Exception) -> None:
    assert "\n" not in str(error)
    for secret in ("AKIAS3CRETID", "S3cretWord", "s0meone"):
        assert secret not in str(error)


def no_credentials(patch: pytest.MonkeyPatch) -> None:
    patch.delenv("AWS_ACCESS_KEY_ID")
    patch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(
    ("endpoint", "url", "change", "words"),
    [
        ("http://127.0.0.1:1", "sqs://eu-west-1", lambda patch: None, "no connection: is the region's name right"),
        (None, "sqs://", lambda patch: None, "no region is given: write sqs://REGION, or set AWS_REGION"),
        (None, "sqs://-eu", lambda patch: None, "no region has such a name"),
        (None, "sqs://eu-west-1", no_credentials, "boto3 finds no credentials in the daemon's environment: set AWS_"),
        (None, "sqs://eu-west-1", lambda patch: patch.delenv("AWS_SECRET_ACCESS_KEY"), "boto3 finds no credentials"),
        (
            None,
            "sqs://eu-west-1",
            lambda patch: patch.setenv("AWS_PROFILE", "none"),
            "the profile that AWS_PROFILE names",
        ),
    ],
)
def test_what_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, url: str, change: Callable[[Any], None], words: str
) -> None:
    change(monkeypatch)
    with pytest.raises(FleetdError, match=words) as caught:
        depths_of(sqs.open(spec(endpoint, url)), [place("q")])
    assert_no_secret(caught.value)


def test_a_service_that_hangs_holds_nothing_up(amazon: Amazon, monkeypatch: pytest.MonkeyPatch) -> None:
    async def reads() -> None:
        broker = sqs.open(spec(amazon.endpoint))
        await broker.read([place("q")])
        monkeypatch.setattr(sqs, "_WITHIN", 0.2)
        amazon.wait = 4.0  # longer than a call of its own may take
        threads = threading.active_count()
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(UnreachableError, match=r"^Amazon SQS in eu-west-1: no answer within"):
                await broker.read([place(f"queue-{number}") for number in range(30)])
            assert time.monotonic() - began < sqs._CALL_WITHIN  # which nothing but `_WITHIN` can cut short
        assert threading.active_count() <= threads + 20  # ten of ours, and those that answer them
        await broker.close()

    asyncio.run(reads())


def test_the_time_of_a_read_begins_when_boto3_is_ready(amazon: Amazon, monkeypatch: pytest.MonkeyPatch) -> None:
    session = import_module("boto3.session").Session
    make, within = session.client, sqs._WITHIN

    def made(*arguments: Any, **keys: Any) -> Any:
        client = make(*arguments, **keys)
        monkeypatch.setattr(sqs, "_WITHIN", within)
        return client

    monkeypatch.setattr(session, "client", made)
    monkeypatch.setattr(sqs, "_WITHIN", 0)  # which is over at once, had it begun before
    assert depths_of(sqs.open(spec(amazon.endpoint)), [place("q")]) == [Depth(ready=7, delayed=7, reserved=7)]


def test_boto3_that_does_not_get_ready_holds_nothing_up(amazon: Amazon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "_MADE_WITHIN", 0)
    with pytest.raises(UnreachableError, match=r"^Amazon SQS in eu-west-1: boto3 was not ready within 0 s$"):
        depths_of(sqs.open(spec(amazon.endpoint)), [place("q")])


def test_what_needs_a_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetd.brokers.packages.find_spec", lambda _: None)
    with pytest.raises(FleetdError, match=r"^\[broker\.sqs\] url: sqs:// needs the Python package boto3: pip install"):
        sqs.open(spec(None))
