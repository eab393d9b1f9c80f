"""Queues in a real MariaDB: known rows, a session that only reads, and every way to have no answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleetd.brokers import sql
from fleetd.brokers.port import Broker
from fleetd.brokers.sql import broker as sql_broker
from fleetd.brokers.sql import mysql
from fleetd.core.queues import Place
from fleetd.core.spec import BrokerSpec
from fleetd.errors import FleetdError, UnreachableError
from tests.brokers.contract import BrokerContract
from tests.support.databases import laravel_place, make_laravel, make_solid_queue, solid_queue_place
from tests.support.mysql_server import PASSWORD, USER, Mysql, running_mysql
from tests.support.reading import depths_of
from tests.support.sql_queues import SqlWorld, sql_world

pytestmark = [pytest.mark.process, pytest.mark.full]
DEFAULT = laravel_place("default")


@pytest.fixture(scope="module")
def running() -> Iterator[Mysql]:
    with running_mysql() as found:
        yield found


@pytest.fixture
def server(running: Mysql) -> Mysql:
    """The module's server, without tables, and up again whatever a test did to it."""
    if running.process is None:
        running.start()
    running.execute("DROP DATABASE app")
    running.execute("SELECT 1")  # it makes an empty one
    return running


class TestMysql(BrokerContract):
    @pytest.fixture
    def world(self, server: Mysql) -> Iterator[SqlWorld]:
        @contextmanager
        def stopped() -> Iterator[None]:
            server.stop()
            yield
            server.start()

        with sql_world(server.url, server.execute, "INTEGER AUTO_INCREMENT PRIMARY KEY", stopped) as world:
            yield world


def open_at(url: str) -> Broker:
    return sql.open(BrokerSpec("sql", url))


def constant(query: str) -> Place:
    return Place(queue="any", ready=(query,))


def test_solid_queues_tables_are_counted_whatever_the_servers_zone(server: Mysql) -> None:
    before = time.time()
    server.execute("SET GLOBAL time_zone = '+05:30'")
    try:
        make_solid_queue(server.execute, "media", "datetime(6)", ready=3, due=2, delayed=4, reserved=1, age=60)
        (found,) = depths_of(open_at(server.url), [solid_queue_place("media")])
    finally:
        server.execute("SET GLOBAL time_zone = 'SYSTEM'")
    assert (found.ready, found.delayed, found.reserved) == (5, 4, 1)
    assert found.oldest_at == pytest.approx(before - 60, abs=10)


def test_queries_keep_their_percent_signs_and_texts(server: Mysql) -> None:
    make_laravel(server.execute, "50%", ready=2, delayed=0, reserved=0)
    jobs = (
        r"FROM jobs WHERE queue LIKE '%0\%' AND queue = :queue AND available_at % 1 = 0 AND 'it\'s :now' <> '' # :now"
    )
    (found,) = depths_of(open_at(server.url), [Place(queue="50%", ready=(f"SELECT COUNT(*) {jobs}",))])
    assert found.ready == 2


def test_nothing_can_be_written(server: Mysql) -> None:
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)
    server.execute(f"GRANT ALL ON app.* TO {USER}@'127.0.0.1'")
    server.execute("CREATE FUNCTION taken() RETURNS int BEGIN DELETE FROM jobs; RETURN 1; END")
    with pytest.raises(FleetdError, match="READ ONLY transaction"):
        depths_of(open_at(server.url), [constant("SELECT taken()")])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1, 2", "Operand should contain 1 column"),
        ("SELEC 1", "error in your SQL syntax"),
        ("SELECT 'x'", "has to answer a count, and not a str: SELECT 'x'"),
        ("SELECT COUNT(*) FROM app_jobs", "there is no table app_jobs: "),
        ("SELECT COUNT(*) FROM mysql.global_priv", "give its user the right to SELECT from"),
    ],
)
def test_a_query_that_cannot_be_asked_is_said(server: Mysql, query: str, words: str) -> None:
    with pytest.raises(FleetdError, match=words) as caught:
        depths_of(open_at(server.url), [constant(query)])
    assert USER not in str(caught.value)


def test_a_slow_query_is_ended_by_the_server(server: Mysql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "ANSWER_WITHIN", 0.2)
    with pytest.raises(UnreachableError, match="a query took longer than"):
        depths_of(open_at(server.url), [constant("SELECT SLEEP(60)")])


def test_a_server_that_hangs_holds_nothing_up(server: Mysql, monkeypatch: pytest.MonkeyPatch) -> None:
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)

    async def reads() -> int | None:
        broker = open_at(server.url)
        await broker.read([DEFAULT])
        monkeypatch.setattr(sql_broker, "_WITHIN", 0.3)
        with server.paused():
            for _ in range(2):
                with pytest.raises(UnreachableError, match="no answer"):
                    await broker.read([DEFAULT])
        monkeypatch.setattr(sql_broker, "_WITHIN", 30)
        found = await broker.read([DEFAULT])
        await broker.close()
        return found[DEFAULT].ready

    assert asyncio.run(reads()) == 1


def test_texts_hold_neither_user_nor_password(server: Mysql) -> None:
    address = f"127.0.0.1:{server.port}/app"
    for url, words in [
        (f"mysql://{USER}:Wr0ngOne@{address}", "refuses the user or the password"),
        (f"mysql://s0meone:S3cretOne@{address}", "refuses the user or the password"),
        (server.url.replace("/app", "/nowhere"), "does not let this user see that database"),
        (server.url + "?pool=3", "the URL may have the options unix_socket, charset"),
        (server.url.replace(str(server.port), "99999"), "the port has to be a number"),
        ("mysql://u5er:S3cret@127.0.0.1:1/app", "connection refused: no MySQL listens there"),
        ("mysql://u5er:S3cret@no-such-host.invalid/app", "there is no such host"),
        ("mysql://u5er:S3cret@localhost/app?unix_socket=/nowhere/s", "no such socket"),
    ]:
        with pytest.raises(FleetdError, match=words) as caught:
            depths_of(open_at(url), [DEFAULT])
        text = str(caught.value)
        assert "\n" not in text
        for secret in (USER, PASSWORD, "Wr0ngOne", "s0meone", "S3cret", "u5er"):
            assert secret not in text


def test_a_socket_is_named_in_the_url(server: Mysql) -> None:
    make_laravel(server.execute, "default", ready=1, delayed=0, reserved=0)
    url = f"mysql://owner@localhost/app?unix_socket={server.socket}"
    assert depths_of(open_at(url), [DEFAULT])[0].ready == 1
