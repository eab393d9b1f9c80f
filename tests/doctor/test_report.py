"""What is told: in which order, by whom it was found, and how the command ends."""

from __future__ import annotations

import pytest

from fleetd.config.load import Loaded
from fleetd.config.problems import Finding, Problem, Severity, Where
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.doctor import brokers, examine, reference
from fleetd.doctor.brokers import Answers
from fleetd.doctor.redis import RedisFacts
from fleetd.doctor.report import Rule, Told, Verdict, exit_code
from fleetd.errors import ExitCode, FleetdError, UnreachableError, UsageError
from tests.support.pool_files import load_text

RULE = Rule("rule", "things", "it hurts", "mend it")
FILE = """
[fleet]
name = "acme"
redis = "redis://user:s3cret@h:1/0"
[broker.default]
url = "redis://h:1/1"
[broker.rabbit]
url = "amqp://h"
[pool.media]
framework = "laravel"
queues = ["a", "b"]
[pool."media.fast"]
framework = "celery"
queues = ["a"]
broker = "rabbit"
"""


def files() -> Loaded:
    loaded = load_text(FILE)
    assert loaded.spec is not None, loaded.problems
    return loaded


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ([], ExitCode.DONE),
        ([RULE.ok("host", ""), RULE.unknown("host", ""), RULE.warning("host", "")], ExitCode.DONE),
        ([RULE.error("host", ""), RULE.ok("host", "")], ExitCode.FAILED),
        ([RULE.error("host", ""), RULE.unreachable("fleet", "")], ExitCode.UNREACHABLE),
    ],
)
def test_exit_codes(told: list[Told], code: ExitCode) -> None:
    assert exit_code(told) == code


def test_a_finding_in_the_form_of_check() -> None:
    assert RULE.ok("host", "fine").finding is None
    finding = RULE.error("host", "broken").finding
    assert str(finding) == "error: host: broken: it hurts; mend it"


@pytest.mark.parametrize(
    ("key", "subject", "what"),
    [
        ("pool.media.user", "pool media", "user: is odd"),
        ('pool."media.fast".user', "pool media.fast", "user: is odd"),
        ("broker.default.url", "broker default", "url: is odd"),
        ("fleet.host", "fleet", "host: is odd"),
        ("daemon.log-directory", "host", "daemon.log-directory: is odd"),
        ("", "host", "pool.toml: is odd"),
    ],
)
def test_what_check_finds_stands_with_its_subject(key: str, subject: str, what: str) -> None:
    finding = Finding(Severity.ERROR, Problem(Where("pool.toml", 7), key, "is odd", "change it"))
    told = examine.of_check(finding, files())
    assert (told.subject, told.verdict, told.what, told.remedy) == (subject, Verdict.ERROR, what, "change it")
    assert str(told.place) == (f"pool.toml:7: {key}" if key else "pool.toml:7")


def test_each_redis_is_named_without_its_password() -> None:
    found = brokers.subjects(files(), files().spec)  # type: ignore[arg-type]
    assert {name: subject.url for name, (subject, _) in found.items()} == {
        "fleet": "redis://h:1/0", "broker default": "redis://h:1/1",
    }  # fmt: skip
    assert str(found["fleet"][0].place) == "pool.toml:4: fleet.redis"
    assert str(found["broker default"][0].place) == "pool.toml:6: broker.default.url"


@pytest.mark.parametrize(
    ("depths", "expected"),
    [
        (UnreachableError("no answer"), ("broker-read", Verdict.UNREACHABLE, "no answer")),
        (FleetdError("makes no sense"), ("broker-read", Verdict.ERROR, "makes no sense")),
        (UsageError("needs a package"), ("broker-read", Verdict.ERROR, "needs a package")),
        ({Place("a", ("a",)): Depth(0)}, ("broker-read", Verdict.OK, "1 queue can be read")),
    ],
)
def test_a_broker_that_is_read(depths: object, expected: tuple[str, Verdict, str]) -> None:
    loaded = files()
    answers = Answers(servers={"fleet": RedisFacts(), "broker default": RedisFacts()}, depths={"rabbit": depths})
    assert loaded.spec is not None
    (told,) = [each for each in brokers.judge(loaded, loaded.spec, answers) if each.subject == "broker rabbit"]
    assert (told.check, told.verdict, told.what) == expected


def test_one_that_is_down_is_told_once() -> None:
    loaded = files()
    down = UnreachableError("connection refused")
    answers = Answers(servers={"fleet": RedisFacts(), "broker default": down}, depths={"default": down})
    assert loaded.spec is not None
    told = [each for each in brokers.judge(loaded, loaded.spec, answers) if each.subject == "broker default"]
    assert [(each.check, each.verdict) for each in told] == [("redis-reachable", Verdict.UNREACHABLE)]


def test_a_queue_that_is_not_there() -> None:
    pool = files().pools["media"]
    there, gone = pool.spec.places
    answers = Answers(depths={"default": {there: Depth(3), gone: UNKNOWN}})
    (told,) = brokers.judge_pool(pool, answers, None, framework_knows=False)
    assert (told.check, told.verdict) == ("queue", Verdict.WARNING)
    assert told.what == "the broker knows no queue laravel_database_queues:b"
    failed = Answers(depths={"default": UnreachableError("")})
    assert list(brokers.judge_pool(pool, failed, None, framework_knows=False)) == []


def test_a_queue_that_alone_cannot_be_read() -> None:
    loaded = files()
    assert loaded.spec is not None
    pool = loaded.pools["media"]
    there, odd = pool.spec.places
    depths = {there: Depth(3), odd: FleetdError("b is a string there")}
    answers = Answers(servers={"fleet": RedisFacts(), "broker default": RedisFacts()}, depths={"default": depths})
    (told,) = brokers.judge_pool(pool, answers, None, framework_knows=False)
    assert (told.check, told.verdict, told.what) == ("broker-read", Verdict.ERROR, "queue b: b is a string there")
    assert "1 queue can be read" in [each.what for each in brokers.judge(loaded, loaded.spec, answers)]


@pytest.mark.parametrize(("framework_knows", "checks"), [(False, ["retry-after"]), (True, [])])
def test_a_frameworks_own_time_counts_more_than_the_queues(framework_knows: bool, checks: list[str]) -> None:
    pool = files().pools["media"]
    answers = Answers(visible={("default", pool.spec.places[0].ready[0]): 60.0})
    told = brokers.judge_pool(pool, answers, None, framework_knows=framework_knows)
    assert [each.check for each in told] == checks


def test_the_page_has_every_rule_once() -> None:
    page = reference.render()
    names = [line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")]
    assert len(names) == len(set(names)) > 25
    assert page.count("- Remedy: ") == len(names)
