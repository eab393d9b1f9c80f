"""The fleet's Redis and the brokers: all are asked at the same time, each within a few seconds.

A broker is read as the daemon reads it, and then asked for what the doctor alone wants to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from fleetd.brokers.opening import open_broker
from fleetd.brokers.port import Broker
from fleetd.config.broker_url import kind_of
from fleetd.config.load import Loaded
from fleetd.config.pools import ReadPool
from fleetd.config.redis_url import parse
from fleetd.core.queues import UNKNOWN, Depth
from fleetd.core.queues import Place as QueuePlace
from fleetd.core.spec import BrokerSpec, FleetSpec, PoolSpec, Seconds
from fleetd.doctor import redis, timeouts
from fleetd.doctor.redis import RedisFacts, Subject
from fleetd.doctor.report import FLEET, Place, Rule, Told, broker_subject, place_of, pool_subject
from fleetd.errors import FleetdError, UnreachableError
from fleetd.views.counted import counted

if TYPE_CHECKING:
    from fleetd.brokers.amqp.acknowledging import ConsumerTimeout

PATIENCE = 15.0  # seconds for one question, however many servers it takes

READ = Rule(
    "broker-read",
    "that the queues of the pools can be read in their broker, as the daemon reads them",
    "nobody knows how many jobs wait; where the broker itself is down, workers have none",
    "do what it asks for: correct the URL, the user or the permissions, install the package, see to server and network",
)
QUEUE = Rule(
    "queue",
    "that the queues of the pools are there, in brokers where one that is empty is there, too (RabbitMQ, SQS)",
    "nothing is enqueued there: under another name, or with another prefix, jobs may wait that no worker takes",
    "correct its name or the prefix of [broker], if it is not to come with the first job",
)
RULES = (READ, QUEUE)

Answer = Any  # what was asked for, or the FleetdError that came instead


class Answers(Struct, frozen=True):
    """What came of asking."""

    servers: Mapping[str, Answer] = field(default_factory=dict)  # RedisFacts, by subject
    depths: Mapping[str, Answer] = field(default_factory=dict)  # by broker: a mapping from places to answers
    acknowledged: Mapping[str, Answer] = field(default_factory=dict)  # by pool on RabbitMQ: a ConsumerTimeout, or None
    visible: Mapping[tuple[str, str], Answer] = field(default_factory=dict)  # by broker and queue: seconds, or None


def subjects(loaded: Loaded, spec: FleetSpec) -> dict[str, tuple[Subject, str]]:
    """Each Redis that the files name, with its URL."""
    found: dict[str, tuple[Subject, str]] = {}
    if spec.member is not None:
        found[FLEET] = (_subject(loaded, FLEET, FLEET, "redis", spec.member.redis), spec.member.redis)
    for name, broker in spec.brokers.items():
        if kind_of(broker.url) == "redis":
            subject = broker_subject(name)
            found[subject] = (_subject(loaded, subject, f"broker.{name}", "url", broker.url), broker.url)
    return found


def ask(loaded: Loaded, spec: FleetSpec) -> Answers:
    """Ask all of them.  What fails is in the answers."""
    questions: dict[tuple[str, Any], Awaitable[Any]] = {}
    for subject, url in subjects(loaded, spec).values():
        questions["servers", subject.name] = _observed(url)
    for name, broker in spec.brokers.items():
        pools = [pool for pool in spec.pools.values() if pool.broker == name]
        places = tuple(dict.fromkeys(place for pool in pools for place in pool.places))
        if places:
            questions["depths", name] = _read(broker, places)
        match kind_of(broker.url):
            case "amqp":
                questions |= {("acknowledged", pool.name): _acknowledged(broker, pool) for pool in pools}
            case "sqs":
                questions |= {("visible", (name, place.ready[0])): _visible(broker, place) for place in places}
            case _:
                pass
    answers = asyncio.run(_all(questions)) if questions else {}

    def of(kind: str) -> dict[Any, Answer]:
        return {key: answer for (asked, key), answer in answers.items() if asked == kind}

    return Answers(of("servers"), of("depths"), of("acknowledged"), of("visible"))


def judge(loaded: Loaded, spec: FleetSpec, answers: Answers) -> Iterator[Told]:
    """What is to be said of the fleet's Redis and the brokers themselves."""
    for subject, _ in subjects(loaded, spec).values():
        answer = answers.servers[subject.name]
        if isinstance(answer, RedisFacts):
            yield from redis.judge(subject, answer)
        else:
            yield _failed(redis.REACHABLE, subject.name, answer, subject.place, redis.why_needed(subject))
    for name, answer in answers.depths.items():
        subject_name, place = broker_subject(name), place_of(loaded.tables[f"broker.{name}"], "url")
        if not isinstance(answer, FleetdError):
            count = sum(not isinstance(depth, FleetdError) for depth in answer.values())
            yield READ.ok(subject_name, f"{counted(count, 'queue')} can be read")
        elif not isinstance(answers.servers.get(subject_name), FleetdError):  # else it was said already
            yield _failed(READ, subject_name, answer, place)


def judge_pool(pool: ReadPool, answers: Answers, line: Place | None, *, framework_knows: bool) -> Iterator[Told]:
    """What the pool's broker says of its queues, and of the time that its jobs may take.

    `line` is that of the broker's retry-after.  Of SQS nothing is said where the framework itself has such a time
    (`framework_knows`): it asks for it with each message.
    """
    name, broker = pool.spec.name, pool.spec.broker or ""
    depths = answers.depths.get(broker, {})
    for place in pool.spec.places:
        depth = None if isinstance(depths, FleetdError) else depths.get(place)
        if isinstance(depth, FleetdError):
            what = f"queue {place.queue}: {depth}"
            yield READ.error(pool_subject(name), what, place_of(pool.node, "queues"))
        elif depth == UNKNOWN:
            what = f"the broker knows no queue {place.ready[0] if len(place.ready[0]) < 80 else place.queue}"  # noqa: PLR2004 - SQL's are queries
            yield QUEUE.warning(pool_subject(name), what, place_of(pool.node, "queues"))
        seconds = answers.visible.get((broker, place.ready[0]))
        if not framework_knows and isinstance(seconds, float):
            yield from timeouts.retry_after(pool, seconds, f"visibility timeout of queue {place.queue}", line)
    acknowledged = answers.acknowledged.get(name)
    if acknowledged is not None and not isinstance(acknowledged, FleetdError):
        yield timeouts.consumer_timeout(pool, acknowledged.seconds, is_default=acknowledged.is_default)


def retry_after_line(loaded: Loaded, pool: ReadPool) -> Place | None:
    """The line of the retry-after of a pool's broker; None where it has no broker."""
    return None if pool.broker is None else place_of(loaded.tables[f"broker.{pool.broker.name}"], "retry-after")


# -- asking ------------------------------------------------------------------------------------------------------------


async def _all(questions: Mapping[Any, Awaitable[Any]]) -> dict[Any, Answer]:
    return dict(zip(questions, await asyncio.gather(*map(_answer, questions.values())), strict=True))


async def _answer(question: Awaitable[Any]) -> Answer:
    try:
        async with asyncio.timeout(PATIENCE):
            return await question
    except FleetdError as error:
        return error
    except TimeoutError:
        return UnreachableError(f"no answer within {PATIENCE:g} s")


async def _observed(url: str) -> RedisFacts:
    from fleetd.doctor.redis_facts import observe  # noqa: PLC0415 - redis-py is for those who name a Redis

    return await observe(url)


async def _read(spec: BrokerSpec, places: tuple[QueuePlace, ...]) -> Mapping[QueuePlace, Answer]:
    broker = open_broker(spec)
    try:
        depths: dict[QueuePlace, Answer] = dict(await broker.read(places))
        if kind_of(spec.url) in {"redis", "sql"}:  # which say why only where nothing else is asked for
            for place in [place for place in places if depths[place] == UNKNOWN]:
                depths[place] = await _answer(_depth(broker, place))
        return depths
    finally:
        await broker.close()


async def _depth(broker: Broker, place: QueuePlace) -> Depth:
    return (await broker.read([place]))[place]


async def _acknowledged(broker: BrokerSpec, pool: PoolSpec) -> ConsumerTimeout | None:
    from fleetd.brokers.amqp.acknowledging import consumer_timeout  # noqa: PLC0415 - only for who names a RabbitMQ

    return await consumer_timeout(broker, [place.ready[0] for place in pool.places])


async def _visible(broker: BrokerSpec, place: QueuePlace) -> Seconds | None:
    from fleetd.brokers.sqs import visibility_timeout  # noqa: PLC0415 - only for who names SQS

    return await visibility_timeout(broker, place.ready[0])


def _failed(rule: Rule, subject: str, error: FleetdError, place: Place, why: str = "") -> Told:
    if isinstance(error, UnreachableError):
        return rule.unreachable(subject, str(error), place, why=why)
    return rule.error(subject, str(error), place)


def _subject(loaded: Loaded, name: str, table: str, key: str, url: str) -> Subject:
    return Subject(name, str(parse(url)), place_of(loaded.tables[table], key))
