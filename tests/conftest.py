"""Fixtures for all tests: real servers, real applications, the real command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.bullmq_app import BullmqApp, bullmq_app
from tests.support.fleetd_cli import Fleetd
from tests.support.laravel import LaravelApp, laravel_app
from tests.support.rabbitmq_server import RabbitMQ, shared_rabbitmq
from tests.support.redis_server import RedisServer, running_server
from tests.support.requirement import in_ci
from tests.support.rq_app import RqApp, rq_app

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=150, deadline=None, derandomize=True)
settings.load_profile("ci" if in_ci() else "dev")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin no long test last, or all processes wait for it; each of them begins with an equal part of the tests."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    parts = [items[len(items) * n // processes : len(items) * (n + 1) // processes] for n in range(processes)]
    items[:] = [item for part in parts for item in _long_before_the_end(part)]


def _long_before_the_end(part: list[pytest.Item]) -> list[pytest.Item]:
    """Those of the last quarter that are given more time than others come first."""
    earlier, last = part[: len(part) * 3 // 4], part[len(part) * 3 // 4 :]
    long = [item for item in last if item.get_closest_marker("timeout")]
    return [*long, *earlier, *(item for item in last if item not in long)]


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One server for all tests that keep to keys of their own."""
    with running_server() as server:
        yield server


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A fresh, empty server for one test."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One server for all tests, in whatever process: each takes a vhost of its own."""
    own = tmp_path_factory.getbasetemp()
    with shared_rabbitmq(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) as server:
        yield server


@pytest.fixture
def laravel(tmp_path: Path, redis_server: RedisServer) -> LaravelApp:
    """A Laravel application with release 1 on a fresh server."""
    return laravel_app(tmp_path, redis_server)


@pytest.fixture
def rq(tmp_path: Path, redis_server: RedisServer) -> RqApp:
    """An RQ application with release 1 on a fresh server."""
    return rq_app(tmp_path, redis_server)


@pytest.fixture
def bullmq(tmp_path: Path, redis_server: RedisServer) -> BullmqApp:
    """A BullMQ application with release 1 on a fresh server."""
    return bullmq_app(tmp_path, redis_server)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """An empty directory whose path is short enough for sockets below it."""
    with tempfile.TemporaryDirectory(prefix="fleetd-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture
def fleetd(short_path: Path) -> Iterator[Fleetd]:
    """An instance that is not started yet; after the test nothing of it may be left once it was stopped."""
    instance = Fleetd(short_path)
    yield instance
    left = instance.end()
    assert not left, f"left after `fleetd stop --now`: {left}"
