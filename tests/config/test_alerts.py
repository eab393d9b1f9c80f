"""[[alert]]: what it becomes, what it may not say, and what can never come true."""

from __future__ import annotations

import pytest

from fleetd.config.reference import reference
from fleetd.config.webhook_url import parse
from fleetd.core.alerts import MEANINGS, Above, AlertSpec, Unit, Word
from tests.config.test_lint import findings_of
from tests.support.pool_files import load_text

POOL = '[pool.media]\ncommand = ["worker"]\nuser = "www"\n[pool.mail]\ncommand = ["worker"]\nuser = "www"\n'
SECRET = "x-secret"
WEBHOOK = f'webhook = "https://hooks.example/{SECRET}?token={SECRET}"\n'


def alerts(text: str, *, target: str = WEBHOOK, before: str = POOL) -> tuple[AlertSpec, ...]:
    loaded = load_text(f"{before}[[alert]]\n{text}\n{target}")
    assert loaded.problems == ()
    assert loaded.not_yet == ()
    assert loaded.spec is not None
    return loaded.spec.alerts


def problems(text: str, target: str = WEBHOOK) -> list[str]:
    found = [str(problem) for problem in load_text(f"{POOL}[[alert]]\n{text}\n{target}").problems]
    assert SECRET not in str(found)
    return [problem.partition("alert.1")[2] for problem in found]


def test_each_word_has_its_own_threshold_and_time() -> None:
    found = alerts(f"on = {[word.value for word in Word]}")
    assert [alert.on for alert in found] == list(Word)
    assert all(
        (alert.above, alert.lasting) == (MEANINGS[alert.on].above, MEANINGS[alert.on].lasting) for alert in found
    )
    assert len({alert.id for alert in found}) == len(found)


def test_all_that_can_be_said() -> None:
    text = 'on = "long-wait"\npools = ["mail", "media"]\nqueues = ["b", "a"]\nabove = "5m"\nfor = 30\nrecover_after = 0'
    (alert,) = alerts(text, target="command = \"mail -s 'it is slow' ops\"")
    assert (alert.pools, alert.queues, alert.above) == (("mail", "media"), ("a", "b"), Above(300.0, Unit.SECONDS))
    assert (alert.lasting, alert.recover_after, alert.webhook) == (30.0, 0.0, None)
    assert alert.command == ("mail", "-s", "it is slow", "ops")


@pytest.mark.parametrize(
    ("on", "above", "found"),
    [
        ("long-wait", "90", Above(90.0, Unit.SECONDS)),
        ("job-failures", '"12.5%"', Above(0.125, Unit.SHARE)),
        ("job-failures", "10", Above(10.0)),
        ("pool-degraded", "1", Above(1.0)),
    ],
)
def test_thresholds(on: str, above: str, found: Above) -> None:
    assert [alert.above for alert in alerts(f'on = "{on}"\nabove = {above}')] == [found]


def test_an_id_stays_when_thresholds_change_and_tells_two_of_the_same_apart() -> None:
    (slow,), (slower,) = alerts('on = "long-wait"'), alerts('on = "long-wait"\nabove = 300')
    assert slow.id == slower.id
    both = alerts(f'on = "long-wait"\n{WEBHOOK}[[alert]]\non = "long-wait"\nabove = 300')
    assert [alert.id for alert in both] == [slow.id, f"{slow.id}-2"]
    (other,) = alerts('on = "long-wait"\npools = ["media"]')
    assert other.id != slow.id


def test_nobody_sees_whom_it_tells() -> None:
    (alert,) = alerts('on = "long-wait"')
    assert SECRET not in repr(alert)
    assert str(parse(f"https://hooks.example:8443/{SECRET}")) == "https://hooks.example:8443"
    assert SECRET not in repr(parse(f"https://[::1]/{SECRET}"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('on = "crash-lop"', '.on: "crash-lop" is not known; did you mean crash-loop?'),
        ('on = "worker.crash-loop"', '.on: "worker.crash-loop" is not known; did you mean crash-loop?'),
        ("on = []", ".on: is empty; name one"),
        ('on = ["long-wait", "long-wait"]', ".on: names something twice"),
        ('on = "job-failures"\nabove = "lots"', '.above: "lots" is no threshold; write a number, a share such as "5%"'),
        ('on = "redis-lost"\nabove = 3', ".above: redis-lost has no figure that could be above it; take it out"),
        ('on = "crash-loop"\nabove = "5m"', ".above: is not what crash-loop counts (workers in a crash loop): write a"),
        ('on = "long-wait"\nabove = "5%"', ".above: is not what long-wait counts (seconds of wait): write a duration"),
        ('on = "job-failures"\nabove = "100%"', '.above: "100%" can never be exceeded; write less than 100%'),
        ('on = "job-failures"\nabove = "3"', '.above: "3" is a string, where a number is wanted'),
        ('on = "long-wait"\nabove = -1', ".above: is out of range"),
        ('on = "redis-lost"\npools = ["mail"]', ".pools: redis-lost is about no pool"),
        ('on = "name-taken"\npools = ["mail"]', ".pools: name-taken is about no pool"),
        ('on = ["long-wait", "crash-loop"]\nqueues = ["a"]', ".queues: crash-loop is about no queue"),
        ('on = "crash-loop"\npools = ["madia"]', ".pools: there is no pool madia; did you mean media?"),
        ('on = "crash-loop"\nevery = 3', ".every: unknown key"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(text: str, problem: str) -> None:
    assert any(each.startswith(problem) for each in problems(text)), problems(text)


@pytest.mark.parametrize(
    "url",
    [f"ftp://{SECRET}", f"https://u:{SECRET}@h/", f"https://{SECRET}:99999999/", f"https:///{SECRET}", "http://h/ä"],
)
def test_urls_that_will_not_do(url: str) -> None:
    (problem,) = problems('on = "crash-loop"', target=f'webhook = "{url}"')
    assert problem.startswith(".webhook: ")


def findings(text: str, target: str = WEBHOOK) -> list[str]:
    return [each for each in findings_of(f"{POOL}[[alert]]\n{text}\n{target}") if "alert.1" in each]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ('on = "redis-lost"', "error: pool.toml:8: alert.1.on: redis-lost can never come true without a [fleet]"),
        ('on = "name-taken"', "error: pool.toml:8: alert.1.on: name-taken can never come true without a [fleet]"),
        ('on = "long-wait"', "warning: pool.toml:8: alert.1.on: long-wait can never come true for any pool"),
        ('on = "long-wait"\npools = ["mail"]', "error: pool.toml:9: alert.1.pools: long-wait can never come true"),
        ('on = "given-up"', "warning: pool.toml:8: alert.1.on: given-up can never come true for any pool: it never"),
        ('on = "job-timeout"', "warning: pool.toml:8: alert.1.on: job-timeout can never come true for any pool"),
        ('on = "broker-lost"', "warning: pool.toml:8: alert.1.on: broker-lost can never come true for any pool"),
    ],
)  # fmt: skip
def test_what_can_never_come_true(text: str, finding: str) -> None:
    assert [each[: len(finding)] for each in findings(text)] == [finding]


def test_what_may_never_come_true() -> None:
    queue, jobs = sorted(findings('on = "job-failures"\nqueues = ["a"]'))
    assert queue.startswith("error: pool.toml:9: alert.1.queues: no pool of it has a queue a")
    assert jobs.startswith("warning: pool.toml:8: alert.1.on: job-failures may never come true")


def test_a_secret_is_not_sent_in_clear_text() -> None:
    text = 'on = "crash-loop"'
    assert findings(text) == []
    assert findings(text, target='webhook = "http://127.0.0.1:8065/hooks/x"') == []
    (finding,) = findings(text, target=f'webhook = "http://chat.internal/{SECRET}"')
    assert "what is told to http://chat.internal, and the path that allows it, can be read on the way" in finding
    assert SECRET not in finding


def test_the_reference_has_every_word() -> None:
    assert all(f"| `{word}`: " in reference() for word in Word)
