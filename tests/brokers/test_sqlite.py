"""Queues in an SQLite file: known rows, read-only, whatever becomes of the file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleetd.brokers import sql
from fleetd.brokers.port import Broker
from fleetd.brokers.sql import sqlite
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.core.spec import BrokerSpec
from fleetd.errors import FleetdError, UnreachableError
from tests.support.databases import laravel_place, make_laravel, make_solid_queue, solid_queue_place
from tests.support.reading import depths_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "the jobs?.sqlite3"


@pytest.fixture
def database(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        yield connection


def open_file(file: Path) -> Broker:
    quoted = str(file).replace(" ", "%20").replace("?", "%3F")
    return sql.open(BrokerSpec("sql", f"sqlite:///{quoted}"))


def constant(query: str) -> Place:
    return Place(queue="any", ready=(query,))


def test_laravels_table_is_counted(file: Path, database: sqlite3.Connection) -> None:
    before = time.time()
    make_laravel(database.execute, "default", ready=3, delayed=2, reserved=1, age=60)
    make_laravel(database.execute, "media", ready=0, delayed=0, reserved=4)
    found = depths_of(open_file(file), [laravel_place(queue) for queue in ("default", "media", "nobody's")])
    assert [(depth.ready, depth.delayed, depth.reserved) for depth in found] == [(3, 2, 1), (0, 0, 4), (0, 0, 0)]
    assert found[0].oldest_at == pytest.approx(before - 60, abs=10)
    assert found[1].oldest_at is None


def test_solid_queues_tables_are_counted(file: Path, database: sqlite3.Connection) -> None:
    before = time.time()
    make_solid_queue(database.execute, "media", "datetime(6)", ready=3, due=2, delayed=4, reserved=1, age=60)
    (found,) = depths_of(open_file(file), [solid_queue_place("media")])
    assert (found.ready, found.delayed, found.reserved) == (5, 4, 1)
    assert found.oldest_at == pytest.approx(before - 60, abs=10)


def test_many_queues_are_read_at_once(file: Path, database: sqlite3.Connection) -> None:
    for number in range(120):
        make_laravel(database.execute, f"queue-{number}", ready=number % 3, delayed=0, reserved=1)
    found = depths_of(open_file(file), [laravel_place(f"queue-{number}") for number in range(120)])
    assert [depth.ready for depth in found] == [number % 3 for number in range(120)]
    assert {depth.reserved for depth in found} == {1}


def test_a_relative_path_begins_at_the_working_directory(
    file: Path, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_laravel(database.execute, "default", ready=1, delayed=0, reserved=0)
    monkeypatch.chdir(file.parent)
    (found,) = depths_of(open_file(Path(file.name)), [laravel_place("default")])
    assert found.ready == 1


def test_a_writer_in_wal_mode_is_not_in_the_way(file: Path, database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode=WAL")
    make_laravel(database.execute, "default", ready=1, delayed=0, reserved=0)
    database.execute("BEGIN IMMEDIATE")
    make_laravel(database.execute, "default", ready=5, delayed=0, reserved=0)
    (found,) = depths_of(open_file(file), [laravel_place("default")])
    assert found.ready == 1
    database.execute("COMMIT")
    assert depths_of(open_file(file), [laravel_place("default")])[0].ready == 6


def test_a_writer_that_holds_the_file_is_named(
    file: Path, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CONNECT_WITHIN", 0.1)
    make_laravel(database.execute, "default", ready=1, delayed=0, reserved=0)
    database.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnreachableError, match="a writer has held its lock"):
        depths_of(open_file(file), [laravel_place("default")])


@pytest.mark.parametrize("query", ["DELETE FROM jobs RETURNING 1", "1); DELETE FROM jobs; SELECT (1"])
def test_nothing_can_be_written(file: Path, database: sqlite3.Connection, query: str) -> None:
    make_laravel(database.execute, "default", ready=2, delayed=0, reserved=0)
    with pytest.raises(FleetdError):
        depths_of(open_file(file), [constant(query)])
    assert database.execute("SELECT COUNT(*) FROM jobs").fetchone() == (2,)


def test_no_file_is_made_where_there_is_none(file: Path) -> None:
    with pytest.raises(UnreachableError, match=r"^SQLite /.*the jobs\?\.sqlite3: there is no such file$"):
        depths_of(open_file(file), [laravel_place("default")])
    assert not file.exists()


def test_a_missing_table_is_named(file: Path, database: sqlite3.Connection) -> None:
    make_laravel(database.execute, "default", ready=2, delayed=0, reserved=0)
    with pytest.raises(FleetdError, match=r"there is no table app_jobs: .*migrations") as caught:
        depths_of(open_file(file), [laravel_place("default", "app_"), laravel_place("media", "app_")])
    assert not isinstance(caught.value, UnreachableError)


def test_what_is_no_database_is_said(file: Path) -> None:
    file.write_text("no database at all, but text " * 100)
    with pytest.raises(FleetdError, match="file is not a database"):
        depths_of(open_file(file), [laravel_place("default")])


@pytest.mark.parametrize(
    ("query", "words"),
    [("SELECT 1, 2", "sub-select returns 2 columns"), ("SELEC 1", "syntax error"), ("SELECT :other", "binding")],
)
def test_a_query_that_cannot_be_asked_is_said(file: Path, database: sqlite3.Connection, query: str, words: str) -> None:
    database.execute("CREATE TABLE jobs (id)")
    with pytest.raises(FleetdError, match=words):
        depths_of(open_file(file), [constant(query)])


def test_no_row_is_not_zero(file: Path, database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE counts (n)")
    assert depths_of(open_file(file), [constant("SELECT n FROM counts -- none")]) == [Depth(ready=None)]


def test_a_slow_query_is_ended(file: Path, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "ANSWER_WITHIN", 0.1)
    database.execute("CREATE TABLE jobs (id)")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    with pytest.raises(UnreachableError, match="a query took longer than"):
        depths_of(open_file(file), [constant(endless)])


def test_a_file_put_in_its_place_is_seen(file: Path, database: sqlite3.Connection) -> None:
    make_laravel(database.execute, "default", ready=1, delayed=0, reserved=0)
    other = file.with_name("other")
    with closing(sqlite3.connect(other, isolation_level=None)) as connection:
        make_laravel(connection.execute, "default", ready=7, delayed=0, reserved=0)
    place = laravel_place("default")

    async def twice() -> list[Any]:
        broker = open_file(file)
        first = await broker.read([place])
        other.replace(file)
        second = await broker.read([place])
        await broker.close()
        return [first[place].ready, second[place].ready]

    assert asyncio.run(twice()) == [1, 7]


def test_a_queue_that_cannot_be_read_costs_no_other(file: Path, database: sqlite3.Connection) -> None:
    """A table that is not there, and an answer that is no count."""
    make_laravel(database.execute, "default", ready=3, delayed=2, reserved=1)
    wrong = [constant("SELECT COUNT(*) FROM nowhere"), constant("SELECT 'many'")]
    found = depths_of(open_file(file), [wrong[0], laravel_place("default"), wrong[1]])
    assert (found[0], found[1].ready, found[2]) == (UNKNOWN, 3, UNKNOWN)
    with pytest.raises(FleetdError, match="there is no table nowhere"):
        depths_of(open_file(file), wrong)
