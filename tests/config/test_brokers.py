"""What a pool file says of brokers, and where the queues of its pools stand in them."""

from __future__ import annotations

import pytest

from fleetd.config.broker_url import SCHEMES, is_for_workers, kind_of
from fleetd.core.queues import Place
from fleetd.core.spec import BrokerSpec, PoolSpec
from tests.support.pool_files import load_text

QUEUES = 'queues = ["high", "{low}"]\n'


def loaded(broker: str, pool: str) -> tuple[BrokerSpec, PoolSpec]:
    found = load_text(f"[broker.default]\n{broker}\n[pool.media]\n{pool}")
    assert (found.problems, found.not_yet) == ((), ())
    assert found.spec is not None
    return found.spec.brokers["default"], found.spec.pools["media"]


def test_the_queues_of_a_pool_stand_where_its_framework_puts_them() -> None:
    _, pool = loaded('url = "redis://h:1/2"', 'framework = "laravel"\n' + QUEUES)
    assert pool.broker == "default"
    assert [place.queue for place in pool.places] == ["high", "{low}"]
    first, second = pool.places
    assert first.ready == ("laravel_database_queues:high",)
    assert (second.ready, second.delayed) == (
        ("laravel_database_queues:{low}",),
        ("laravel_database_queues:{low}:delayed",),
    )


@pytest.mark.parametrize(
    ("prefix", "ready"), [('prefix = "app:"\n', "app:queues:high"), ('prefix = ""\n', "queues:high")]
)
def test_a_prefix_takes_the_place_of_the_frameworks(prefix: str, ready: str) -> None:
    _, pool = loaded('url = "redis://h:1/2"\n' + prefix, 'framework = "laravel"\n' + QUEUES)
    assert pool.places[0].ready == (ready,)


def test_a_record_keeps_its_job() -> None:
    _, pool = loaded('url = "redis://h:1/2"', 'framework = "bullmq"\nqueues = ["mail"]')
    assert pool.places[0].record == "bull:mail:{job}"


def test_nobody_knows_where_a_plain_command_keeps_its_queues() -> None:
    _, pool = loaded('url = "redis://h:1/2"', 'command = ["work", "{queues}"]\n' + QUEUES)
    assert (pool.broker, pool.places) == (None, ())


def test_a_framework_of_ones_own_says_it() -> None:
    own = '[framework.own]\ncommand = ["w"]\n[framework.own.brokers.redis]\nready = ["q:{queue}"]\n'
    found = load_text(f'[broker.default]\nurl = "redis://h:1/2"\n{own}[pool.m]\nframework = "own"\n{QUEUES}')
    assert found.spec is not None
    assert found.spec.pools["m"].places[0] == Place("high", ("q:high",))


@pytest.mark.parametrize(
    ("broker", "every"),
    [
        ('url = "redis://h:1/2"', 5.0),
        ('url = "sqs://eu-west-1"', 30.0),
        ('url = "sqs://eu-west-1"\nevery = "1m"', 60.0),
    ],
)
def test_how_often_it_is_read(broker: str, every: float) -> None:
    assert loaded(broker, 'command = ["w"]')[0].every == every


def test_a_broker_that_is_shown_shows_no_password() -> None:
    broker, _ = loaded('url = "amqp://user:secret@h/"\nmanagement = "http://user:secret@h:15672"', 'command = ["w"]')
    assert "secret" not in repr(broker)


@pytest.mark.parametrize(
    "url",
    [
        *("redis://h:x/0", "redis+cluster://h/1/2", "redis+sentinel://h"),
        *("amqp://guest:pw@h:99999/", "amqps://h/?verify=perhaps", "amqp://guest:p@w@h/"),
        *("sqs://AKIA:pw@eu-west-1", "sqs://AKIA:pw@", "sqs://eu-west-1/1234"),
    ],
)
def test_a_url_is_read_in_every_detail(url: str) -> None:
    found = load_text(f'[broker.default]\nurl = "{url}"\n[pool.m]\ncommand = ["w"]')
    (problem,) = found.problems
    assert str(problem).startswith("pool.toml:2: broker.default.url: ")
    assert "pw" not in str(problem)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("rediss://h", "redis"),
        ("amqps://h/v", "amqp"),
        ("sqs://eu-1", "sqs"),
        ("mysql://h/db", "sql"),
        ("gopher://h", None),
    ],
)
def test_kinds(url: str, kind: str | None) -> None:
    assert kind_of(url) == kind


def test_every_scheme_has_a_kind_and_only_plain_ones_are_for_workers() -> None:
    assert all(kind_of(scheme) for scheme in SCHEMES)
    assert [scheme for scheme in SCHEMES if not is_for_workers(scheme)] == [
        "redis+sentinel://",
        "redis+cluster://",
        "sqs://",
    ]


@pytest.mark.parametrize("url", ["http://u:p4ss@h:999999", "http://u:p4ss@", "http://u:p4/ss@h:1", "https://h/?a=b"])
def test_the_url_of_a_management_api_is_read_in_every_detail(url: str) -> None:
    found = load_text(f'[broker.default]\nurl = "amqp://h"\nmanagement = "{url}"\n[pool.m]\ncommand = ["w"]')
    (problem,) = found.problems
    assert str(problem) == (
        "pool.toml:3: broker.default.management: the URL of RabbitMQ's management API cannot be read; "
        "write http://HOST:15672 or https://HOST:15671"
    )


@pytest.mark.parametrize(
    ("url", "framework", "handed"),
    [
        ("redis://h:1/2", "rq", True),
        ("amqp://h/v", "rq", False),
        ("amqp://h/v", "celery", True),
        ("postgresql://h/db", "celery", False),
        ("sqs://eu-west-1", "celery", False),
        ("redis+sentinel://h:1/master/0", "rq", False),
        ("amqp://h/v", "own", True),
    ],
)
def test_workers_get_the_url_of_a_broker_that_they_can_use(url: str, framework: str, handed: bool) -> None:
    own = '[framework.own]\ncommand = ["w"]\nbroker-env = "URL"\n'
    options = 'options = { app = "proj" }\n' if framework == "celery" else ""
    found = load_text(f'[broker.default]\nurl = "{url}"\n{own}[pool.m]\nframework = "{framework}"\n{options}')
    assert found.spec is not None
    assert (url in found.spec.pools["m"].launch.env.values()) is handed
