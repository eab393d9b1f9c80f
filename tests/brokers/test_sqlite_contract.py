"""The Broker port on an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.brokers.contract import BrokerContract
from tests.support.sql_queues import SqlWorld, sql_world


class TestSqlite(BrokerContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[SqlWorld]:
        file = tmp_path / "jobs.sqlite3"

        @contextmanager
        def moved_away() -> Iterator[None]:
            aside = file.rename(tmp_path / "aside")
            yield
            aside.rename(file)

        with closing(sqlite3.connect(file, isolation_level=None)) as client:
            client.execute("PRAGMA synchronous=OFF")
            with sql_world(f"sqlite:///{file}", client.execute, "INTEGER PRIMARY KEY", moved_away) as world:
                yield world
