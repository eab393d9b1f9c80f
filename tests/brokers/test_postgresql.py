"""Queues in a real PostgreSQL: known rows, one connection that only reads, and every way to have no answer."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from fleetd.brokers import sql
from fleetd.brokers.port import Broker
from fleetd.brokers.sql import broker as sql_broker
from fleetd.brokers.sql import postgresql
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.core.spec import BrokerSpec
from fleetd.errors import FleetdError, UnreachableError
from tests.brokers.contract import BrokerContract
from tests.support.databases import laravel_place, make_laravel, make_solid_queue, solid_queue_place
from tests.support.postgresql_server import PASSWORD, USER, Postgresql, running_postgresql
from tests.support.reading import depths_of
from tests.support.sql_queues import SqlWorld, sql_world

pytestmark = pytest.mark.process
DEFAULT = laravel_place("default")


@pytest.fixture(scope="module")
def running() -> Iterator[Postgresql]:
    with running_postgresql() as found:
        yield found


@pytest.fixture
def server(running: Postgresql) -> Postgresql:
    """The module's server, without tables, and up again whatever a test did to it."""
    if running.process is None:
        running.start()
    running.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return running


class TestPostgresql(BrokerContract):
    @pytest.fixture
    def world(self, server: Postgresql) -> Iterator[SqlWorld]:
        @contextmanager
        def stopped() -> Iterator[None]:
            server.stop()
            yield
            server.start()

        with sql_world(server.url, server.execute, "BIGSERIAL", stopped) as world:
            yield world


def open_at(url: str) -> Broker:
    return sql.open(BrokerSpec("sql", url))


def constant(query: str) -> Place:
    return Place(queue="any", ready=(query,))


async def ready(broker: Broker, places: Sequence[Place] = (DEFAULT,)) -> int | None:
    found = await broker.read(places)
    return found[places[0]].ready


def test_laravels_table_is_counted(server: Postgresql) -> None:
    before = time.time()
    make_laravel(server.execute, "default", ready=3, delayed=2, reserved=1, age=60)
    make_laravel(server.execute, "media", ready=0, delayed=0, reserved=4)
    places = [laravel_place(queue) for queue in ("default", "media", "nobody's")]
    found = depths_of(open_at(server.url), places)
    assert [(depth.ready, depth.delayed, depth.reserved) for depth in found] == [(3, 2, 1), (0, 0, 4), (0, 0, 0)]
    assert found[0].oldest_at == pytest.approx(before - 60, abs=10)
    assert found[1].oldest_at is None


@pytest.mark.parametrize("timestamp", ["timestamp(6) without time zone", "timestamp with time zone"])
def test_solid_queues_tables_are_counted_whatever_the_servers_zone(server: Postgresql, timestamp: str) -> None:
    before = time.time()
    server.execute("ALTER ROLE owner SET TimeZone = 'UTC'")
    server.execute(f"ALTER ROLE {USER} SET TimeZone = 'Asia/Kolkata'")
    make_solid_queue(server.execute, "media", timestamp, ready=3, due=2, delayed=4, reserved=1, age=60)
    (found,) = depths_of(open_at(server.url), [solid_queue_place("media")])
    assert (found.ready, found.delayed, found.reserved) == (5, 4, 1)
    assert found.oldest_at == pytest.approx(before - 60, abs=10)


def test_queries_keep_their_percent_signs_casts_and_texts(server: Postgresql) -> None:
    make_laravel(server.execute, "50%", ready=2, delayed=0, reserved=0)
    jobs = "FROM jobs WHERE queue LIKE '%0%' AND queue = :queue::text AND available_at % 1 = 0 AND 'a :now' <> $$:now$$"
    (found,) = depths_of(open_at(server.url), [Place(queue="50%", ready=(f"SELECT COUNT(*) {jobs};",))])
    assert found.ready == 2


def test_one_connection_is_kept_and_changes_nothing(server: Postgresql) -> None:
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)

    async def reads() -> list[tuple[Any, ...]]:
        broker = open_at(server.url)
        await ready(broker)
        await ready(broker, [laravel_place(f"queue-{number}") for number in range(100)])
        with server.connect() as owner:
            sessions: list[tuple[Any, ...]] = owner.execute(
                "SELECT COUNT(*), MIN(state), MIN(query) FROM pg_stat_activity WHERE usename = %s", (USER,)
            ).fetchall()
        await broker.close()
        return sessions

    assert asyncio.run(reads()) == [(1, "idle", "ROLLBACK")]


def test_nothing_can_be_written(server: Postgresql) -> None:
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)
    server.execute(f"GRANT ALL ON jobs TO {USER}")
    server.execute("CREATE FUNCTION taken() RETURNS int LANGUAGE sql AS 'DELETE FROM jobs; SELECT 1'")
    with pytest.raises(FleetdError, match="cannot execute DELETE in a read-only transaction"):
        depths_of(open_at(server.url), [constant("SELECT taken()")])


def test_a_missing_table_is_named_and_the_others_are_read_again(server: Postgresql) -> None:
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)

    async def reads() -> int | None:
        broker = open_at(server.url)
        absent = laravel_place("default", "app_")
        with pytest.raises(FleetdError, match=r"there is no table app_jobs: .*migrations") as caught:
            await broker.read([absent])
        assert not isinstance(caught.value, UnreachableError)
        both = await broker.read([absent, DEFAULT])
        assert (both[absent], both[DEFAULT].ready) == (UNKNOWN, 1)
        found = await ready(broker)
        await broker.close()
        return found

    assert asyncio.run(reads()) == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1, 2", "subquery must return only one column"),
        ("SELEC 1", "syntax error"),
        ("SELECT 'x'", "has to answer a count, and not a str: SELECT 'x'"),
        ("SELECT COUNT(*) FROM pg_authid", "permission denied for table pg_authid: give its user the right"),
    ],
)
def test_a_query_that_cannot_be_asked_is_said(server: Postgresql, query: str, words: str) -> None:
    with pytest.raises(FleetdError, match=words):
        depths_of(open_at(server.url), [constant(query)])


def test_a_slow_query_is_ended_by_the_server(server: Postgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_BEGIN", postgresql._BEGIN.replace("= 2000", "= 100"))
    with pytest.raises(UnreachableError, match="a query took longer than"):
        depths_of(open_at(server.url), [constant("SELECT 1 FROM pg_sleep(60)")])


def test_a_server_that_came_back_is_asked_again(server: Postgresql) -> None:
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)

    async def reads() -> int | None:
        broker = open_at(server.url)
        await ready(broker)
        server.stop()
        with pytest.raises(UnreachableError, match="connection refused: no PostgreSQL listens there"):
            await ready(broker)
        server.start()
        await ready(broker)
        with server.connect() as owner:
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (USER,))
        found = await ready(broker)
        await broker.close()
        return found

    assert asyncio.run(reads()) == 1


def test_a_server_that_hangs_holds_nothing_up(server: Postgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_broker, "_WITHIN", 0.3)
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)

    async def reads() -> int | None:
        broker = open_at(server.url)
        while True:  # the first read has to import the driver, too
            with suppress(UnreachableError):
                await ready(broker)
                break
        with server.paused():
            for _ in range(2):
                ticks = asyncio.ensure_future(_ticks())
                with pytest.raises(UnreachableError, match=r"no answer"):
                    await ready(broker)
                ticks.cancel()
                (end,) = await asyncio.gather(ticks, return_exceptions=True)
                assert isinstance(end, asyncio.CancelledError), end
        monkeypatch.setattr(sql_broker, "_WITHIN", 30)
        found = await ready(broker)
        await broker.close()
        return found

    assert asyncio.run(reads()) == 1


async def _ticks() -> None:
    """Fails when the loop was held up: by the server, for as long as that hangs."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - before < 2


def test_texts_hold_neither_user_nor_password(server: Postgresql) -> None:
    address = f"127.0.0.1:{server.port}/postgres"
    for url, words in [
        (f"postgresql://{USER}:Wr0ngOne@{address}", "refuses the user or the password"),
        (f"postgresql://s0meone:S3cretOne@{address}", "refuses the user or the password"),
        (f"postgresql://{USER}@{address}", "asks for a password: write user:password@ before the host"),
        (server.url + "_x", "has no such database"),
        (server.url + "?charset=utf8", "PostgreSQL's library knows no option charset"),
        (f"postgresql://{USER}:p/S3cret@@{address}", "has to be|not a URL|no such host|invalid"),
        (f"postgresql://{USER}:S3cret@/postgres?host=/nowhere", "no such socket"),
        (f"postgresql://{USER}:S3cret@no-such-host.invalid/x", "there is no such host"),
    ]:
        with pytest.raises(FleetdError, match=words) as caught:
            depths_of(open_at(url), [DEFAULT])
        text = str(caught.value)
        assert "\n" not in text
        for secret in (USER, PASSWORD, "Wr0ngOne", "s0meone", "S3cret", "S3cretOne"):
            assert secret not in text


def test_a_server_full_of_connections_is_said(server: Postgresql) -> None:
    server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT 0")
    try:
        with pytest.raises(UnreachableError, match='too many connections for role "…"'):
            depths_of(open_at(server.url), [DEFAULT])
    finally:
        server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT -1")


def test_a_driver_that_cannot_be_loaded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = open_at("postgresql://127.0.0.1:1/x")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(FleetdError, match=r"psycopg cannot be loaded here: pip install 'fleetd\[postgresql\]'"):
        depths_of(broker, [DEFAULT])


def test_a_driver_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetd.brokers.packages.find_spec", lambda _: None)
    with pytest.raises(FleetdError, match=r"postgresql:// needs the Python package psycopg: pip install"):
        open_at("postgresql://127.0.0.1:1/x")


def test_no_row_is_not_zero(server: Postgresql) -> None:
    server.execute("CREATE TABLE counts (n numeric)")
    assert depths_of(open_at(server.url), [constant("SELECT n FROM counts")]) == [Depth(ready=None)]
