"""The queries of the framework files, on tables as Laravel and Solid Queue make them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from fleetd.core.queues import Place
from fleetd.frameworks.framework import builtin
from tests.support.laravel import JOBS_TABLE

NOW = 1_790_000_000
SOLID_QUEUE_TABLES = """
CREATE TABLE solid_queue_jobs (
    id INTEGER PRIMARY KEY, queue_name VARCHAR NOT NULL, class_name VARCHAR NOT NULL, created_at DATETIME(6) NOT NULL
);
CREATE TABLE solid_queue_ready_executions (
    id INTEGER PRIMARY KEY, job_id BIGINT NOT NULL, queue_name VARCHAR NOT NULL, created_at DATETIME(6) NOT NULL
);
CREATE TABLE solid_queue_scheduled_executions (
    id INTEGER PRIMARY KEY, job_id BIGINT NOT NULL, queue_name VARCHAR NOT NULL, scheduled_at DATETIME(6) NOT NULL,
    created_at DATETIME(6) NOT NULL
);
CREATE TABLE solid_queue_blocked_executions (
    id INTEGER PRIMARY KEY, job_id BIGINT NOT NULL, queue_name VARCHAR NOT NULL, concurrency_key VARCHAR NOT NULL,
    created_at DATETIME(6) NOT NULL
);
CREATE TABLE solid_queue_claimed_executions (
    id INTEGER PRIMARY KEY, job_id BIGINT NOT NULL, process_id BIGINT, created_at DATETIME(6) NOT NULL
);
"""


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        yield connection


def place(framework: str, queue: str) -> Place:
    found = builtin(framework)
    assert found is not None
    there = found.place("sql", queue, None)
    assert there is not None
    return there


def answers(database: sqlite3.Connection, there: Place) -> tuple[int, int, int, object]:
    """Ready, delayed, reserved and the time of the oldest."""
    values = {"queue": there.queue, "now": NOW, "utcnow": "2026-09-21 14:13:20"}

    def ask(queries: tuple[str, ...]) -> int:
        return sum(database.execute(query, values).fetchone()[0] for query in queries)

    assert there.oldest is not None
    oldest = database.execute(there.oldest, values).fetchone()[0]
    return ask(there.ready), ask(there.delayed), ask(there.reserved), oldest


def test_laravels_jobs_table(database: sqlite3.Connection) -> None:
    database.executescript(JOBS_TABLE)
    assert answers(database, place("laravel", "media")) == (0, 0, 0, None)
    rows = [
        ("media", None, NOW - 30),
        ("media", None, NOW),
        ("media", None, NOW + 1),
        ("media", NOW - 5, NOW - 60),
        ("other", None, NOW - 90),
    ]
    insert = (
        "INSERT INTO jobs (queue, payload, attempts, reserved_at, available_at, created_at) VALUES (?, '', 0, ?, ?, 1)"
    )
    database.executemany(insert, rows)

    assert answers(database, place("laravel", "media")) == (2, 1, 1, NOW - 30)


def test_the_tables_of_solid_queue(database: sqlite3.Connection) -> None:
    database.executescript(SOLID_QUEUE_TABLES)
    assert answers(database, place("solid_queue", "media")) == (0, 0, 0, None)
    for number, queue in enumerate(["media", "media", "media", "media", "media", "other", "other"], start=1):
        database.execute(
            "INSERT INTO solid_queue_jobs VALUES (?, ?, 'DemoJob', '2026-09-21 14:00:00')", (number, queue)
        )
    ready = "INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at) VALUES (?, ?, ?)"
    at = "2026-09-21 14:00:0%d.000000"
    database.executemany(ready, [(1, "media", at % 2), (2, "media", at % 1), (6, "other", at % 0)])
    for table, more in (("scheduled", "scheduled_at"), ("blocked", "concurrency_key")):
        into = f"INSERT INTO solid_queue_{table}_executions (job_id, queue_name, {more}, created_at)"
        database.execute(f"{into} VALUES (3, 'media', '2026-09-22 14:00:00', ?)", (at % 0,))
    claimed = "INSERT INTO solid_queue_claimed_executions (job_id, process_id, created_at) VALUES (?, 1, ?)"
    database.executemany(claimed, [(5, at % 0), (7, at % 0)])

    assert answers(database, place("solid_queue", "media")) == (2, 2, 1, at % 1)
