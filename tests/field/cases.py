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
def laravel(root: Path) -> Iterator[App]:
    with running_server() as server:
        yield laravel_app(root, server)


CASES = (
    Case(
        "Laravel",
        "Redis",
        laravel,
        marks=(pytest.mark.redis, pytest.mark.laravel),
        notes={"in_hand": "Laravel prints the queue of a job from 11.27 on, with the option `json`."},
    ),
    Case("RQ", "Redis", rq, marks=(pytest.mark.redis,)),
)

NOTES: Notes = {case.key: case.notes for case in CASES}
