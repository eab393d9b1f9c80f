"""`fleetd doctor` on real hosts, servers and applications that are badly set up, each in its way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetd_cli import COMMAND, Fleetd
from tests.support.laravel import LaravelApp
from tests.support.rabbitmq_server import RabbitMQ
from tests.support.redis_server import RedisServer, running_server
from tests.support.sqs_server import CREDENTIALS, REGION, running_sqs
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

Document = dict[str, Any]
FINE = {"command": "sleep 1000"}
CELERY = {"framework": "celery", "command": "sleep 1000"}


def examined(fleetd: Fleetd, code: int) -> Document:
    done = fleetd.run("doctor", "--json", code=code)
    assert done.stderr == ""
    document: Document = json.loads(done.stdout)
    return document


def found(document: Document, subject: str) -> dict[str, str]:
    """The severity of each check that found something, warnings of being root left out."""
    of = [each for each in document["findings"] if each["subject"] == subject and each["check"] != "check"]
    return {each["check"]: each["severity"] for each in of}


def what(document: Document, check: str) -> str:
    return "; ".join(each["what"] for each in document["findings"] if each["check"] == check)


@pytest.fixture
def kept() -> Iterator[RedisServer]:
    with running_server("--appendonly", "yes") as server:
        yield server


# -- a host where all is well, and one where nothing is ----------------------------------------------------------------


def test_a_host_where_all_is_well(anyones: Fleetd) -> None:
    """Nothing is changed by looking, and each check that passed is told."""
    anyones.configure({"media": FINE})
    before = sorted(anyones.directory.iterdir())
    document = examined(anyones, 0)
    passed = {(each["subject"], each["check"]) for each in document["passed"]}
    assert passed >= {("host", check) for check in ("descriptors", "memory", "kernel", "directories", "disk-room")}
    assert ("pool media", "program") in passed
    assert document["unknown"] == []
    assert sorted(anyones.directory.iterdir()) == before


def test_a_host_where_nothing_is_well(anyones: Fleetd) -> None:
    """An unknown user, no directory, no program, no env-file, logs that cannot be written: all at once."""
    pools = {
        "whose": {**FINE, "user": "no-such-user"},
        "where": {**FINE, "directory": "/nonexistent"},
        "what": {"command": "no-such-program", "env-file": "/nonexistent/env"},
    }
    anyones.configure(pools)
    (anyones.directory / "log").write_text("a file")
    document = examined(anyones, 1)
    assert found(document, "pool whose") == {"user": "error"}
    assert found(document, "pool where") == {"directory": "error"}
    assert found(document, "pool what") == {"program": "error", "env-file": "error"}
    assert found(document, "host")["directories"] == "error"
    for each in document["findings"]:
        assert each["where"]["key"] if each["check"] not in {"check", "cgroups"} else True
        assert each["remedy"]
    said = anyones.run("doctor", code=1).stdout
    assert "\npool where\n" in said
    assert "  error: directory /nonexistent: no such file or directory\n      why: no worker of the pool" in said
    assert f"\n      line: {anyones.file}:" in said


def test_an_invalid_file(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**FINE, "numprocs": -1}})
    assert "pool.media.numprocs" in fleetd.run("doctor", code=2).stderr
    document = examined(fleetd, 2)
    assert (document["valid"], document["passed"]) == (False, [])
    assert document["problems"][0]["key"] == "pool.media.numprocs"


def test_what_this_version_does_not_do_yet(fleetd: Fleetd) -> None:
    """As start has it: refused."""
    fleetd.configure({"media": {**FINE, "balance": "auto"}})
    told = {each["where"]["key"]: each["severity"] for each in examined(fleetd, 1)["findings"] if each["where"]}
    assert told["pool.media.balance"] == "error"


# -- Redis -------------------------------------------------------------------------------------------------------------


def test_a_redis_where_all_is_well(fleetd: Fleetd, kept: RedisServer) -> None:
    tables = {"fleet": {"name": "acme", "redis": kept.url}, "broker": {"default": {"url": kept.url}}}
    fleetd.configure({"media": FINE}, **tables)
    document = examined(fleetd, 0)
    passed = {(each["subject"], each["check"]) for each in document["passed"]}
    checks = {"reachable", "version", "eviction", "memory", "persistence", "writing", "cache", "clock"}
    assert passed >= {(subject, f"redis-{check}") for subject in ("fleet", "broker default") for check in checks}
    with kept.connect() as client:
        assert client.dbsize() == 0


def test_a_redis_that_may_lose_jobs(fleetd: Fleetd) -> None:
    """It evicts, keeps nothing on disk, and is a cache, too, which has pushed keys out already."""
    arguments = ("--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru")
    with running_server(*arguments) as server, server.connect() as client:
        for number in range(300):
            client.set(f"laravel_database_laravel_cache:{number}", "x" * 20_000, ex=1000)
        fleetd.configure({"media": FINE}, broker={"default": {"url": server.url}})
        document = examined(fleetd, 1)
    expected = {"redis-eviction": "error", "redis-persistence": "warning", "redis-cache": "error"}
    assert found(document, "broker default").items() >= expected.items()
    assert "allkeys-lru with maxmemory 3.0M" in what(document, "redis-eviction")
    assert "keys were evicted" in what(document, "redis-cache")
    assert "laravel_database_laravel_cache:…" in what(document, "redis-cache")
    line = fleetd.file.read_text().splitlines().index(f'url = "{server.url}"') + 1
    eviction = next(each for each in document["findings"] if each["check"] == "redis-eviction")
    assert eviction["where"] == {"file": str(fleetd.file), "line": line, "key": "broker.default.url"}


def test_a_redis_that_cannot_save(fleetd: Fleetd) -> None:
    with running_server() as server, server.connect() as client:
        client.config_set("save", "3600 1")
        (server.directory / "dump.rdb").mkdir()
        client.set("a", "b")
        client.bgsave()
        wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot to fail")
        fleetd.configure({"media": FINE}, broker={"default": {"url": server.url}})
        document = examined(fleetd, 1)
    assert found(document, "broker default") == {"redis-writing": "error"}


def test_what_a_managed_redis_does_not_allow_is_not_known(fleetd: Fleetd, kept: RedisServer) -> None:
    with kept.connect() as client:
        client.acl_setuser("member", enabled=True, passwords=["+se-cret"], commands=["+time", "+select"])
        url = kept.url.replace("//", "//member:se-cret@")
        fleetd.configure({"media": FINE}, fleet={"name": "acme", "redis": url})
        done = fleetd.run("doctor", "--json")
    document = json.loads(done.stdout)
    assert "se-cret" not in done.stdout
    unknown = {each["check"] for each in document["unknown"]}
    checks = {"version", "eviction", "memory", "persistence", "writing", "cache"}
    assert unknown == {f"redis-{check}" for check in checks}
    passed = {each["check"] for each in document["passed"] if each["subject"] == "fleet"}
    assert passed == {"redis-reachable", "redis-clock"}
    assert "  not known: " in fleetd.run("doctor").stdout


def test_what_is_out_of_reach_is_said_beside_all_else(fleetd: Fleetd, kept: RedisServer) -> None:
    nobody = "redis://127.0.0.1:1/0"
    fleetd.configure(
        {"media": {"command": "no-such-program"}},
        fleet={"name": "acme", "redis": kept.url},
        broker={"default": {"url": nobody}},
    )
    document = examined(fleetd, 4)
    assert found(document, "broker default") == {"redis-reachable": "unreachable"}
    assert found(document, "fleet") == {}
    assert found(document, "pool media") == {"program": "error"}
    assert "  out of reach: redis://127.0.0.1:1/0: connection refused" in fleetd.run("doctor", code=4).stdout


def test_a_queue_that_alone_cannot_be_read_is_told_with_its_reason(fleetd: Fleetd, kept: RedisServer) -> None:
    with kept.connect() as client:
        client.set("odd", "no queue")
    fleetd.configure({"media": {**CELERY, "queues": ["media", "odd"]}}, broker={"default": {"url": kept.url}})
    document = examined(fleetd, 1)
    assert found(document, "pool media")["broker-read"] == "error"
    assert "queue odd: " in what(document, "broker-read")
    assert "odd is a string there, which holds no jobs" in what(document, "broker-read")


# -- RabbitMQ and SQS --------------------------------------------------------------------------------------------------


def test_a_rabbitmq_that_waits_for_less_than_a_job_takes(fleetd: Fleetd, rabbitmq: RabbitMQ) -> None:
    """By its default, and by a policy that the management API tells of; and a queue is not there."""
    url = rabbitmq.vhost()
    vhost = url.rpartition("/")[2]
    for queue in ("media", "mail"):
        rabbitmq.call("PUT", f"/api/queues/{vhost}/{queue}", {"durable": True})
    fleetd.configure(
        {
            "long": {**CELERY, "queues": ["media"], "job-timeout": "1h"},
            "short": {**CELERY, "queues": ["media"], "job-timeout": "10m"},
            "gone": {**CELERY, "queues": ["media", "no-such-queue"]},
            "down": {**CELERY, "queues": ["media"], "broker": "down"},
        },
        broker={"default": {"url": url}, "down": {"url": "amqp://guest:S3cret@127.0.0.1:1"}},
    )
    done = fleetd.run("doctor", "--json", code=4)
    document = json.loads(done.stdout)
    assert "S3cret" not in done.stdout
    assert found(document, "pool long") == {"consumer-timeout": "warning"}
    assert "RabbitMQ waits 30m for the acknowledgement of a job (its default" in what(document, "consumer-timeout")
    assert found(document, "pool short") == {}
    assert found(document, "pool gone") == {"queue": "warning"}
    assert found(document, "broker default") == {}
    assert found(document, "broker down") == {"broker-read": "unreachable"}


@pytest.mark.full
def test_an_sqs_queue_that_gives_jobs_away(fleetd: Fleetd) -> None:
    with running_sqs() as server:
        client = server.client()
        client.create_queue(QueueName="acme-media", Attributes={"VisibilityTimeout": "60"})
        client.close()
        fleetd.environment |= CREDENTIALS
        broker = {"url": f"sqs://{REGION}", "endpoint": server.endpoint, "prefix": "acme-"}
        laravel = {"framework": "laravel", "command": "sleep 1000"}
        fleetd.configure(
            {
                "media": {**laravel, "queues": ["media"], "job-timeout": "60s"},
                "gone": {**laravel, "queues": ["mail"]},
            },
            broker={"default": broker},
        )
        document = examined(fleetd, 1)
    assert found(document, "pool media") == {"retry-after": "error"}
    assert "after 1m (visibility timeout of queue media), and may take 1m" in what(document, "retry-after")
    assert found(document, "pool gone") == {"queue": "warning"}


# -- frameworks --------------------------------------------------------------------------------------------------------


def test_a_celery_that_gives_jobs_away(fleetd: Fleetd) -> None:
    """What its broker_transport_options say, as `celery report` shows them."""
    app = "from celery import Celery\napp = Celery(broker='redis://:S3cret@127.0.0.1:1/0')\n"
    (fleetd.directory / "app.py").write_text(
        f"{app}app.conf.broker_transport_options = {{'visibility_timeout': 600}}\n"
    )
    pool = {"framework": "celery", "directory": str(fleetd.directory), "queues": ["media"], "job-timeout": "10m"}
    fleetd.configure({"media": {**pool, "options": {"celery": str(COMMAND.parent / "celery"), "app": "app"}}})
    document = examined(fleetd, 1)
    assert found(document, "pool media") == {"retry-after": "error"}
    assert "after 10m (visibility_timeout of the broker transport), and may take 10m" in what(document, "retry-after")


@pytest.mark.laravel
@pytest.mark.redis
def test_a_laravel_that_gives_jobs_away(fleetd: Fleetd, laravel: LaravelApp, tmp_path: Path) -> None:
    """Its retry_after is below job-timeout, whatever [broker] says; and its PHP has no pcntl."""
    php = tmp_path / "php"
    php.write_text('#!/bin/sh\n[ "$1" = -m ] && { php -m | grep -v pcntl; exit; }\nexec php "$@"\n')
    php.chmod(0o755)
    pool = {
        "framework": "laravel",
        "directory": str(laravel.releases.current),
        "queues": ["media"],
        "job-timeout": "45s",
        "env": {**laravel.environment, "QUEUE_RETRY_AFTER": "45"},
        "options": {"php": str(php), "json": True},
    }
    well = {**pool, "job-timeout": "44s", "options": {}}
    broker = {"url": laravel.server.url, "retry-after": "1h"}
    fleetd.configure({"media": pool, "well": well}, broker={"default": broker})
    document = examined(fleetd, 1)
    assert found(document, "pool media") == {
        "option-version": "error", "extension": "error", "retry-after": "error", "retry-after-written": "warning",
    }  # fmt: skip
    assert found(document, "pool well") == {"retry-after-written": "warning"}
    assert "after 45s (retry_after of the queue connection), and may take 45s" in what(document, "retry-after")
    assert {each["check"] for each in document["passed"] if each["subject"] == "pool well"} == {
        "program", "framework", "extension", "retry-after",
    }  # fmt: skip


@pytest.mark.laravel
@pytest.mark.redis
def test_a_directory_without_a_laravel(fleetd: Fleetd, laravel: LaravelApp) -> None:
    fleetd.configure({"media": {"framework": "laravel", "directory": str(fleetd.directory), "queues": ["media"]}})
    document = examined(fleetd, 1)
    assert found(document, "pool media") == {"framework": "error"}
    assert "Laravel is not found: `php artisan --version` failed" in what(document, "framework")
