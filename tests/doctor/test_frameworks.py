"""What probes of a framework mean, over what they may print."""

from __future__ import annotations

from typing import Any

import pytest

from fleetd.core.placeholders import AT_SPAWN
from fleetd.doctor import frameworks
from fleetd.doctor.frameworks import Probed
from fleetd.doctor.rehearsal import Output
from fleetd.doctor.report import Told, Verdict
from fleetd.frameworks.framework import builtin
from fleetd.frameworks.probes import Probe
from fleetd.shell.spawn_request import SpawnRequest
from tests.support.pool_files import load_text

OK, UNKNOWN, WARNING, ERROR = Verdict.OK, Verdict.UNKNOWN, Verdict.WARNING, Verdict.ERROR

# What each prints: (framework, means) -> the output, by version.
LARAVEL_8 = "Laravel Framework 8.83.26\n"
LARAVEL_12 = "Laravel Framework \x1b[32m12.1.1\x1b[39m\n"
PHP_M = "[PHP Modules]\nCore\npcntl\nposix\n\n[Zend Modules]\n\n"
CELERY = "5.3.6 (emerald-rush)\n"
REPORT = (
    "software -> celery:5.3.6 (emerald-rush) kombu:5.3.4 py:3.11.2\n"
    "settings -> transport:redis results:disabled\n\nbroker_url: 'redis://localhost:6379/0'\n"
)


def probes(framework: str) -> dict[str, Probe]:
    found = builtin(framework)
    assert found is not None
    return {probe.means: probe for probe in found.probes}


def told(framework: str, outputs: dict[str, Output], **keys: Any) -> list[Told]:
    lines = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items())
    loaded = load_text(f'[pool.media]\nframework = "{framework}"\n{lines}')
    known = probes(framework)
    return list(
        frameworks.judge(
            loaded.pools["media"], tuple(Probed(known[means], "asked", out) for means, out in outputs.items()), None
        )
    )


def said(text: str) -> Output:
    return Output(text, 0)


@pytest.mark.parametrize(
    ("framework", "output", "verdict", "what"),
    [
        ("laravel", said(LARAVEL_8), OK, "Laravel 8.83.26"),
        ("laravel", said("Deprecated: something in x.php\n" + LARAVEL_12), OK, "Laravel 12.1.1"),
        ("laravel", said("Laravel Framework 7.30.4\n"), WARNING, "Laravel 7.30.4 is older than 8.0"),
        ("laravel", Output(LARAVEL_8, 255), ERROR, "Laravel is not found: `asked` failed (exit code 255)"),
        ("laravel", Output("", 1), ERROR, "Laravel is not found: `asked` failed (exit code 1)"),
        ("laravel", Output("", None), ERROR, "Laravel is not found: `asked` did not end within 10 s"),
        ("laravel", said("Symfony 6.4.1\n"), ERROR, "Laravel is not found: `asked` does not say that it is Laravel"),
        ("rq", said("rq, version 2.6.0\n"), OK, "RQ 2.6.0"),
        ("rq", said("rq, version 1.15.1\n"), WARNING, "RQ 1.15.1 is older than 1.16"),
        ("celery", said(CELERY), OK, "Celery 5.3.6"),
        ("sidekiq", said("Sidekiq 7.2.4\n"), OK, "Sidekiq 7.2.4"),
        ("sidekiq", said("Sidekiq 4.2.10\n"), WARNING, "Sidekiq 4.2.10 is older than 5.0"),
        ("dramatiq", said("dramatiq 1.17.1\n"), OK, "Dramatiq 1.17.1"),
        ("dramatiq", said("2.2.1\n"), OK, "Dramatiq 2.2.1"),
        ("bullmq", said("5.81.5\n"), OK, "BullMQ 5.81.5"),
    ],
)
def test_version(framework: str, output: Output, verdict: Verdict, what: str) -> None:
    (found,) = told(framework, {"version": output})
    assert (found.check, found.verdict) == ("framework", verdict)
    assert what in found.what
    assert bool(found.remedy) == (verdict is not OK)


@pytest.mark.parametrize(
    ("version", "options", "checks"),
    [
        (LARAVEL_8, "{ json = true }", ["framework", "option-version"]),
        (LARAVEL_8, "{ json = false }", ["framework"]),
        (LARAVEL_12, "{ json = true }", ["framework"]),
        ("Laravel Framework 11.26.0\n", "{ json = true }", ["framework", "option-version"]),
        ("Laravel Framework 11.27.2\n", "{ json = true }", ["framework"]),
    ],
)
def test_options_of_later_versions(version: str, options: str, checks: list[str]) -> None:
    found = told("laravel", {"version": said(version)}, options=options)
    assert [each.check for each in found] == checks
    for each in found[1:]:
        assert each.verdict is ERROR
        assert str(each.place) == "pool.toml:3: pool.media.options.json"


def test_where_the_framework_does_not_run_nothing_else_is_said_of_it() -> None:
    found = told("laravel", {"version": Output("", 127), "extension": said(""), "retry-after": Output("", 1)})
    assert [each.check for each in found] == ["framework"]


@pytest.mark.parametrize(
    ("output", "verdict"),
    [(said(PHP_M), OK), (said(PHP_M.replace("pcntl", "apcntl")), ERROR), (Output(PHP_M, 255), UNKNOWN)],
)
def test_extension(output: Output, verdict: Verdict) -> None:
    (found,) = told("laravel", {"extension": output})
    assert found.verdict is verdict
    if verdict is ERROR:
        assert "a stop cannot wait for the job in hand" in found.why


@pytest.mark.parametrize(
    ("framework", "output", "keys", "verdicts"),
    [
        ("laravel", said("\nretry_after=90\n"), {"job_timeout": 89}, [OK]),
        ("laravel", said("\nretry_after=90\n"), {"job_timeout": 90}, [ERROR]),
        ("laravel", said("\nretry_after=30\n"), {}, [ERROR]),  # queue:work's own timeout is 60 s
        ("laravel", said("\nretry_after=\n"), {"job_timeout": 900}, []),  # SQS and Beanstalkd have none
        ("laravel", Output("", 255), {"job_timeout": 90}, [UNKNOWN]),
        ("celery", said(REPORT), {"job_timeout": 3599}, [OK]),
        ("celery", said(REPORT), {"job_timeout": 3600}, [ERROR]),
        (
            "celery", said(REPORT + "broker_transport_options: {\n    'visibility_timeout': 43200}\n"),
            {"job_timeout": 3600}, [OK],
        ),
        ("celery", said(REPORT.replace("transport:redis", "transport:amqp")), {"job_timeout": 9000}, []),
    ],
)  # fmt: skip
def test_retry_after(framework: str, output: Output, keys: dict[str, Any], verdicts: list[Verdict]) -> None:
    found = told(framework, {"retry-after": output}, **keys)
    assert [each.verdict for each in found] == verdicts
    assert all(each.check == "retry-after" for each in found)


def test_a_command_of_the_pools_own_is_not_probed() -> None:
    """It may be anything, so that the framework's command says nothing of it; and an option's value is not shown."""
    text = '[pool.media]\nframework = "rq"\n{}\n[pool.media.options]\nrq = "${{RQ}}"\n'
    own = load_text(text.format('command = "rq worker"'), RQ="/secret/rq").pools["media"]
    request = None
    assert frameworks.observe(own, request) == ()  # type: ignore[arg-type]


def test_an_option_may_hold_all_that_a_spawn_fills_in() -> None:
    every = "".join(f"{{{name}}}" for name in AT_SPAWN)
    loaded = load_text(f'[pool.media]\nframework = "rq"\nqueues = ["a"]\noptions = {{ rq = "/nowhere/{every}" }}')
    [found, *_] = frameworks.observe(loaded.pools["media"], SpawnRequest("0" * 32, ("rq",), {}, "/"))
    assert found.failure is not None
