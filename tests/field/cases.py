"""The frameworks of the table: how each one's application and its broker are brought up, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.field.app import App
from tests.field.page import Notes
from tests.support.laravel import laravel_app
from tests.support.rabbitmq_server import running_rabbitmq
from tests.support.redis_server import running_server
from tests.support.rq_app import rq_app


@dataclass(frozen=True, slots=True)
class Case:
    """A row: `app` brings the application up below a directory; `notes` explain cells, by their columns."""

    framework: str
    broker: str
    app: Callable[[Path], AbstractContextManager[App]]
    marks: tuple[pytest.MarkDecorator, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """That of its row."""
        return self.framework, self.broker


@contextmanager
def rq(root: Path) -> Iterator[App]:
    with running_server() as server:
        yield rq_app(root, server)


@contextmanager
def celery(root: Path) -> Iterator[App]:
    from tests.support.celery_app import CeleryApp  # noqa: PLC0415 - takes its time

    with running_server() as server:
        yield CeleryApp(root, server.url)


@contextmanager
def celery_on_rabbitmq(root: Path) -> Iterator[App]:
    from tests.support.celery_app import CeleryApp  # noqa: PLC0415 - takes its time

    with running_rabbitmq() as server:
        yield CeleryApp(root, server.url)


@contextmanager
def dramatiq(root: Path) -> Iterator[App]:
    from tests.support.dramatiq_app import DramatiqApp  # noqa: PLC0415 - takes its time

    with running_server() as server:
        yield DramatiqApp(root, server.url)


@contextmanager
def dramatiq_on_rabbitmq(root: Path) -> Iterator[App]:
    from tests.support.dramatiq_app import DramatiqApp  # noqa: PLC0415 - takes its time

    with running_rabbitmq() as server:
        yield DramatiqApp(root, server.url)


@contextmanager
def huey(root: Path) -> Iterator[App]:
    from tests.support.huey_app import HueyApp  # noqa: PLC0415 - takes its time

    with running_server() as server:
        yield HueyApp(root, server.url)


@contextmanager
def laravel(root: Path) -> Iterator[App]:
    with running_server() as server:
        yield laravel_app(root, server)


REDIS = (pytest.mark.redis,)
FULL = (pytest.mark.full,)

CASES = (
    Case(
        "Laravel",
        "Redis",
        laravel,
        marks=(*REDIS, pytest.mark.laravel),
        notes={"in_hand": "Laravel prints the queue of a job from 11.27 on, with the option `json`."},
    ),
    Case("RQ", "Redis", rq, marks=REDIS),
    Case("Celery", "Redis", celery, marks=REDIS),
    Case("Celery", "RabbitMQ", celery_on_rabbitmq, marks=FULL),
    Case("Dramatiq", "Redis", dramatiq, marks=REDIS),
    Case("Dramatiq", "RabbitMQ", dramatiq_on_rabbitmq, marks=FULL),
    Case("huey", "Redis", huey, marks=REDIS),
)

NOTES: Notes = {case.key: case.notes for case in CASES}
