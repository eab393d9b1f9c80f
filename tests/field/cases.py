"""The frameworks of the table: how each one's application and its broker are brought up, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.field.app import App
from tests.field.page import Notes
from tests.field.row import Key
from tests.support.bullmq_app import bullmq_app
from tests.support.laravel import laravel_app
from tests.support.rabbitmq_server import running_rabbitmq
from tests.support.redis_server import RedisServer, running_server
from tests.support.rq_app import rq_app
from tests.support.sidekiq_app import sidekiq_app

OUTPUT = "its output"
REDIS = (pytest.mark.redis,)
FULL = (pytest.mark.full,)
LARAVEL = (pytest.mark.laravel,)
SIDEKIQ = (pytest.mark.sidekiq,)


@dataclass(frozen=True, slots=True)
class Case:
    """A row: `app` brings the application up below a directory; `notes` explain cells, by their columns."""

    framework: str
    broker: str
    app: Callable[[Path], AbstractContextManager[App]]
    told: str = OUTPUT
    marks: tuple[pytest.MarkDecorator, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """That of its row."""
        return self.framework, self.broker, self.told

    @property
    def name(self) -> str:
        """Of its test."""
        return "-".join(word.replace(" ", "-").lower() for word in (self.framework, self.broker, self.told))


@dataclass(frozen=True, slots=True)
class Managed:
    """An application whose broker needs more than a URL."""

    app: App
    broker_keys: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)


def on_redis(bring_up: Callable[[Path, RedisServer], App]) -> Callable[[Path], AbstractContextManager[App]]:
    """An application on a fresh server."""

    @contextmanager
    def app(root: Path) -> Iterator[App]:
        with running_server() as server:
            yield bring_up(root, server)

    return app


def on_rabbitmq(bring_up: Callable[[Path, str], App]) -> Callable[[Path], AbstractContextManager[App]]:
    """An application on a fresh server, whose management API is read."""

    @contextmanager
    def app(root: Path) -> Iterator[App]:
        with running_rabbitmq() as server:
            yield Managed(bring_up(root, server.url), {"management": server.management})

    return app


def laravel_with_provider(root: Path, server: RedisServer) -> App:
    return laravel_app(root, server, tells=True)


def sidekiq_with_middleware(root: Path, server: RedisServer) -> App:
    return sidekiq_app(root, server, tells=True)


# Those in Python are imported only where they are run: each loads its framework.


def celery(root: Path, url: str) -> App:
    from tests.support.celery_app import CeleryApp  # noqa: PLC0415

    return CeleryApp(root, url)


def celery_that_tells(root: Path, server: RedisServer) -> App:
    from tests.support.celery_app import CeleryApp  # noqa: PLC0415

    return CeleryApp(root, server.url, tells=True)


def dramatiq(root: Path, url: str) -> App:
    from tests.support.dramatiq_app import DramatiqApp  # noqa: PLC0415

    return DramatiqApp(root, url)


def huey(root: Path, url: str) -> App:
    from tests.support.huey_app import HueyApp  # noqa: PLC0415

    return HueyApp(root, url)


NOT_BEGUN = "Celery prints that a task was received, not that it began; `fleetd.worker.celery` tells that too."
IN_THE_QUEUE = "Celery keeps a task that is not due in the queue with the others, or in a worker that has fetched it."
TWICE = (
    "A task that Celery begins in the instant of a TERM may be done to its end and given back as well, and so be done "
    "twice: Celery 5.7 does so without fleetd, too."
)
NO_TIME = "Nothing in the broker tells when a job was enqueued: its wait is estimated."
FETCHED = (
    "RQ itself forgets a job that it fetches in the instant of a TERM, between the fetch and its start, and its own "
    "cleanup finds it a minute later and counts it as failed: https://github.com/rq/rq/issues/2236."
)
BY_NO_QUEUE = "Sidekiq keeps the delayed jobs of all queues together, and those in hand by process."

CASES = (
    Case(
        "Laravel",
        "Redis",
        on_redis(laravel_app),
        marks=(*REDIS, *LARAVEL),
        notes={"age": "Laravel writes the time into a job from 12.11 on; before, the FleetdServiceProvider does."},
    ),
    Case("Laravel", "Redis", on_redis(laravel_with_provider), "FleetdServiceProvider", marks=(*REDIS, *LARAVEL, *FULL)),
    Case("RQ", "Redis", on_redis(rq_app), marks=REDIS, notes={"drain": FETCHED}),
    Case(
        "Celery",
        "Redis",
        on_redis(lambda root, server: celery(root, server.url)),
        marks=REDIS,
        notes={
            "in_hand": NOT_BEGUN,
            "drain": TWICE,
            "depth": f"{IN_THE_QUEUE} What its workers have fetched is not told apart by queue.",
            "age": NO_TIME,
        },
    ),
    Case(
        "Celery",
        "Redis",
        on_redis(celery_that_tells),
        "fleetd.worker",
        marks=(*REDIS, *FULL),
        notes={
            "drain": TWICE,
            "depth": f"{IN_THE_QUEUE} What its workers have fetched is not told apart by queue.",
        },
    ),
    Case(
        "Celery",
        "RabbitMQ",
        on_rabbitmq(celery),
        marks=FULL,
        notes={"in_hand": NOT_BEGUN, "drain": TWICE, "depth": IN_THE_QUEUE, "age": NO_TIME},
    ),
    Case(
        "Dramatiq",
        "Redis",
        on_redis(lambda root, server: dramatiq(root, server.url)),
        marks=REDIS,
        notes={"depth": "Jobs in hand stand under a name of the worker's own, which changes with every start."},
    ),
    Case("Dramatiq", "RabbitMQ", on_rabbitmq(dramatiq), marks=FULL, notes={"age": NO_TIME}),
    Case(
        "huey",
        "Redis",
        on_redis(lambda root, server: huey(root, server.url)),
        marks=REDIS,
        notes={"depth": "Nothing in the broker tells what is in hand.", "age": NO_TIME},
    ),
    Case(
        "Sidekiq",
        "Redis",
        on_redis(sidekiq_app),
        marks=(*REDIS, *SIDEKIQ),
        notes={"depth": BY_NO_QUEUE},
    ),
    Case(
        "Sidekiq",
        "Redis",
        on_redis(sidekiq_with_middleware),
        "fleetd.rb",
        marks=(*REDIS, *SIDEKIQ, *FULL),
        notes={"depth": BY_NO_QUEUE},
    ),
    Case("BullMQ", "Redis", on_redis(bullmq_app), "fleetd.cjs", marks=REDIS),
)

NOTES: Notes = {case.key: case.notes for case in CASES}
