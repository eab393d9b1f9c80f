"""The fleet's Redis and the brokers: all are asked at the same time, each within a few seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from msgspec import Struct, field

from fleetd.config.broker_url import kind_of
from fleetd.config.load import Loaded
from fleetd.config.pools import ReadPool
from fleetd.config.redis_url import parse
from fleetd.core.spec import BrokerSpec, FleetSpec, Seconds
from fleetd.doctor import redis, timeouts
from fleetd.doctor.redis import RedisFacts, Subject
from fleetd.doctor.report import FLEET, Place, Rule, Told, broker_subject, place_of, pool_subject
from fleetd.errors import FleetdError, UnreachableError, UsageError

PATIENCE = 15.0  # seconds for all questions to one of them

REACHABLE = Rule(
    "broker-reachable",
    "that RabbitMQ or SQS answers",
    "depths of queues are not known, and workers have no jobs",
    "correct the URL, or see to the server and the network",
)
QUEUE = Rule(
    "queue",
    "that the queues of pools are known to SQS",
    "nobody can enqueue a job there, and workers find none",
    "correct its name or the prefix of [broker], or create it",
)
RULES = (REACHABLE, QUEUE)


class Answers(Struct, frozen=True):
    """What came of asking; a failure is its line for people, and whether the thing is out of reach."""

    servers: Mapping[str, RedisFacts | FleetdError] = field(default_factory=dict)  # by subject
    consumer: Mapping[str, Seconds | FleetdError | None] = field(default_factory=dict)  # by name of the broker
    visibility: Mapping[tuple[str, str], Seconds | FleetdError | None] = field(default_factory=dict)  # and queue there


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
    urls = {subject: url for subject, (_, url) in subjects(loaded, spec).items()}
    of_kind = {kind: [each for each in spec.brokers.values() if kind_of(each.url) == kind] for kind in ("amqp", "sqs")}
    queues = {(each.name, place.ready[0]): each for each in of_kind["sqs"] for place in _places(spec, each.name)}
    questions: dict[tuple[str, Any], Any] = {("server", subject): _observed(url) for subject, url in urls.items()}
    for each in of_kind["amqp"]:
        questions["consumer", each.name] = _asked("amqp", "consumer_timeout", each)
    for key, each in queues.items():
        questions["visibility", key] = _asked("sqs", "visibility_timeout", each, key[1])
    answers = asyncio.run(_all(questions)) if questions else {}

    def of(kind: str) -> dict[Any, Any]:
        return {key: answer for (asked, key), answer in answers.items() if asked == kind}

    return Answers(of("server"), of("consumer"), of("visibility"))


def judge(loaded: Loaded, spec: FleetSpec, answers: Answers) -> Iterator[Told]:
    """What is to be said of the fleet's Redis and the brokers themselves."""
    for subject, _ in subjects(loaded, spec).values():
        answer = answers.servers[subject.name]
        if isinstance(answer, RedisFacts):
            yield from redis.judge(subject, answer)
        else:
            yield _failed(redis.REACHABLE, subject.name, answer, subject.place, redis.why_needed(subject))
    for name in spec.brokers:
        asked = [answers.consumer[name]] if name in answers.consumer else []
        asked += [answer for (broker, _), answer in answers.visibility.items() if broker == name]
        if asked:
            yield _answered(broker_subject(name), asked, _place(loaded, f"broker.{name}", "url"))


def _answered(subject: str, answers: Sequence[object], place: Place) -> Told:
    """Whether a broker that is no Redis answered all that it was asked."""
    failure = next((answer for answer in answers if isinstance(answer, FleetdError)), None)
    return REACHABLE.ok(subject, "it answers") if failure is None else _failed(REACHABLE, subject, failure, place)


def judge_pool(pool: ReadPool, answers: Answers, broker: Place | None, *, framework_knows: bool) -> Iterator[Told]:
    """What the pool's broker says of its jobs' time; of SQS not where the framework itself says it (`framework_knows`).

    `broker` is the line of the broker's retry-after.
    """
    name = "" if pool.broker is None else pool.broker.name
    if name in answers.consumer:
        found = answers.consumer[name]
        if not isinstance(found, FleetdError):
            yield timeouts.consumer_timeout(pool, found)
    for place in pool.spec.places:
        queue = place.ready[0]
        if (name, queue) not in answers.visibility:
            continue
        seconds = answers.visibility[name, queue]
        if seconds is None:
            yield QUEUE.error(
                pool_subject(pool.spec.name), f"SQS knows no queue {queue}", place_of(pool.node, "queues")
            )
        elif not isinstance(seconds, FleetdError) and not framework_knows:
            yield from timeouts.retry_after(pool, seconds, f"visibility timeout of queue {queue}", broker)


def retry_after_line(loaded: Loaded, pool: ReadPool) -> Place | None:
    """The line of the retry-after of a pool's broker; None where it has no broker."""
    return None if pool.broker is None else _place(loaded, f"broker.{pool.broker.name}", "retry-after")


async def _all(questions: Mapping[Any, Any]) -> dict[Any, Any]:
    return dict(zip(questions, await asyncio.gather(*map(_answer, questions.values())), strict=True))


async def _answer(question: Any) -> Any:
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


async def _asked(module: str, function: str, broker: BrokerSpec, *rest: str) -> Any:
    """The answer of a reader of brokers, which is imported only where there is such a broker."""
    try:
        return await getattr(import_module(f"fleetd.brokers.{module}"), function)(broker, *rest)
    except ModuleNotFoundError as error:
        raise UsageError(f"it cannot be asked without the package {error.name}: install it beside fleetd") from None


def _failed(rule: Rule, subject: str, error: FleetdError, place: Place, why: str = "") -> Told:
    if isinstance(error, UnreachableError):
        return rule.unreachable(subject, str(error), place, why=why)
    if isinstance(error, UsageError):
        return rule.unknown(subject, str(error))
    return rule.error(subject, str(error), place)


def _places(spec: FleetSpec, broker: str) -> Iterator[Any]:
    """The places of queues that pools have at a broker."""
    for pool in spec.pools.values():
        if pool.broker == broker:
            yield from pool.places


def _subject(loaded: Loaded, name: str, table: str, key: str, url: str) -> Subject:
    with contextlib.suppress(FleetdError):
        return Subject(name, str(parse(url)), _place(loaded, table, key))
    return Subject(name, "its URL", _place(loaded, table, key))  # `ask` says what is wrong with it


def _place(loaded: Loaded, table: str, key: str) -> Place:
    return place_of(loaded.tables[table], key)
