"""The loader: shipped files, tables of users, command lines."""

from __future__ import annotations

from pathlib import Path
from signal import SIGCONT, SIGINT, SIGTERM, SIGUSR2
from typing import Any

import pytest

from fleetd.config.ports import Framework as Port
from fleetd.core.spec import LineMeaning
from fleetd.frameworks.framework import Framework, Shipped, builtin, builtin_names, define
from fleetd.frameworks.reading import Complaint
from fleetd.frameworks.reference import render

ROOT = Path(__file__).parents[2]


def shipped(name: str) -> Framework:
    framework = builtin(name)
    assert framework is not None
    return framework


def line(framework: Port, **given: Any) -> str:
    unset: dict[str, Any] = {
        "queues": (),
        "max_jobs": None,
        "job_timeout": None,
        "max_memory": None,
        "max_lifetime": None,
        "options": {},
    }
    return " ".join(framework.command_line(**(unset | given)))


def complaints(table: dict[str, Any]) -> list[str]:
    result = define("mine", table)
    assert not isinstance(result, Framework)
    return [f"{complaint.key} {complaint.message}" for complaint in result]


def defined(table: dict[str, Any]) -> Framework:
    result = define("mine", table)
    assert isinstance(result, Framework), result
    return result


def test_the_contracts_frameworks_are_shipped() -> None:
    assert set(Shipped().names()) >= {"laravel", "rq", "celery", "sidekiq", "bullmq", "dramatiq", "huey", "command"}


@pytest.mark.parametrize("name", builtin_names())
def test_a_shipped_framework_drains_and_explains_its_options(name: str) -> None:
    framework = shipped(name)

    # TERM interrupts the jobs of huey.
    assert framework.drain_signal == (SIGINT if name == "huey" else SIGTERM)
    assert framework.about
    assert all(framework.option_meanings[option] for option in framework.options)


def test_an_unknown_name_is_no_framework() -> None:
    assert builtin("nosuch") is None
    assert builtin("../config/x") is None


def test_laravel_pauses_recycles_and_counts_by_itself() -> None:
    laravel = shipped("laravel")

    assert (laravel.pause_signal, laravel.resume_signal) == (SIGUSR2, SIGCONT)
    assert laravel.exit_codes == frozenset({0, 12})
    assert laravel.exit_reasons == {12: "max-memory"}
    assert laravel.enforces == {"max-jobs", "job-timeout"}
    assert laravel.jobs_at_once == 1
    assert laravel.reports_jobs
    assert not laravel.ready_line


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("laravel", {}, "php artisan queue:work"),
        (
            "laravel",
            {
                "queues": ("transcoding", "media"),
                "max_jobs": 1,
                "job_timeout": 3599.5,
                "max_memory": 512 << 20,
                "options": {"php": "php8.3", "connection": "redis", "tries": 3, "force": True, "json": False},
            },
            (
                "php8.3 artisan queue:work redis --queue=transcoding,media --max-jobs=1 --timeout=3600 --memory=512 "
                "--tries=3 --force"
            ),
        ),
        ("laravel", {"queues": ("{transcoding}",)}, "php artisan queue:work --queue={{transcoding}"),
        ("rq", {"queues": ("high", "low"), "max_jobs": 5}, "rq worker --max-jobs 5 high low"),
        (
            "rq",
            {"options": {"with_scheduler": True, "arguments": "--name 'a b'"}},
            "rq worker --with-scheduler --name a b",
        ),
        (
            "celery",
            {"queues": ("a", "b"), "job_timeout": 60, "options": {"app": "proj", "hostname": "{pool}-{slot}@%h"}},
            "celery --app=proj worker --queues=a,b --loglevel=INFO --hostname={pool}-{slot}@%h --time-limit=60",
        ),
        ("sidekiq", {"queues": ("a", "b,2")}, "bundle exec sidekiq --queue=a --queue=b,2"),
        ("sidekiq", {"options": {"bundle": ""}}, "sidekiq"),
        (
            "dramatiq",
            {"queues": ("a", "b"), "options": {"broker": "actors"}},
            "dramatiq actors --processes=1 --verbose --queues a b",
        ),
        (
            "dramatiq",
            {"job_timeout": 3599.9995, "options": {"broker": "actors"}},
            "dramatiq actors --processes=1 --worker-shutdown-timeout=3600000 --verbose",
        ),
        ("bullmq", {}, "node worker.js"),
        ("command", {"queues": ("a",)}, ""),
    ],
)
def test_a_command_line_holds_what_is_set(name: str, given: dict[str, Any], expected: str) -> None:
    assert line(shipped(name), **given) == expected


NINES = "9" * 5000


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"stop-timeout": NINES}, "stop-timeout must not be longer than ten years"),
        ({"stop-timeout": f"{NINES}d"}, "stop-timeout must not be longer than ten years"),
        ({"stop-timeout": 10**400}, "stop-timeout must not be longer than ten years"),
        ({"jobs-at-once": 10**400}, "jobs-at-once must be at most 1000000000000"),
        ({"exit-codes": [10**5000]}, "exit-codes must be an exit code from 0 to 255, not such a number"),
        ({"exit-reasons": {NINES: "stop"}}, f"exit-reasons.{NINES} must be a whole number, not '{NINES[:59]}…"),
        ({"exit-reasons": {"256": "stop"}}, "exit-reasons.256 must be an exit code from 0 to 255, not '256'"),
    ],
)
def test_numbers_beyond_all_use_are_refused(table: dict[str, Any], complaint: str) -> None:
    assert complaints(table) == [complaint]


def test_a_framework_without_a_command_leaves_it_to_the_pool() -> None:
    assert shipped("command").command is None
    assert shipped("rq").command is not None


def test_a_users_framework_has_the_same_keys_in_either_spelling() -> None:
    mine = defined(
        {
            "command": ["run", ["-q", "{queue}"], "--jobs={max_jobs}", "{options.extra_args...}", "{slot}", "{{x"],
            "drain_signal": "SIGINT",
            "exit-codes": [0, 3],
            "exit_reasons": {"3": "max-jobs"},
            "stop-timeout": "1m30s",
            "env": {"MY_VAR": "1"},
            "options": {"extra_args": {"default": "-v --all"}},
            "patterns": [{"meaning": "ready", "literal": "up", "regex": "^up$"}],
            "brokers": {"redis": {"ready": ["{prefix}{queue}"], "due-unit": 1000}},
        }
    )

    assert line(mine, queues=("a", "b"), max_jobs=7) == "run -q a -q b --jobs=7 -v --all {slot} {{x"
    assert line(mine) == "run -v --all {slot} {{x"
    assert line(mine, options={"extra-args": ""}) == "run {slot} {{x"
    assert (mine.drain_signal, mine.stop_timeout, mine.exit_reasons) == (2, 90.0, {3: "max-jobs"})
    assert mine.env == {"MY_VAR": "1"}
    assert mine.ready_line
    assert not defined(
        {"may-be-silent": True, "patterns": [{"meaning": "ready", "literal": "up", "regex": "^up$"}]}
    ).ready_line
    assert not mine.reports_jobs
    assert mine.patterns[0].meaning is LineMeaning.READY
    assert mine.places["redis"].due_unit == 1000


def test_every_problem_is_told_at_once() -> None:
    assert complaints(
        {
            "drain-signl": "TERM",
            "command": ["a", "x{queues...}", ["-q", "{quue}"], "{options.none}"],
            "pause-signal": "FOO",
            "exit-codes": [300],
            "exit-reasons": {"12": "because", "x": "exit"},
            "stop-timeout": "soon",
            "jobs-at-once": 0,
            "enforces": ["max-job"],
            "env": {"A": 1},
            "options": {"x": {"defalt": "1"}, "y": 3},
            "patterns": [
                {"meaning": "done", "literal": "", "regex": "(a+)+", "rgex": 1},
                {"meaning": "don", "literal": "a\nb"},
            ],
            "brokers": {"redi": {}, "redis": {"oldest": "middle"}},
        }
    ) == [
        "drain-signl is not known: did you mean drain-signal?",
        "options.x.defalt is not known: did you mean default?",
        "options.y must be a table, not 3",
        "command.1 {queues...} must be an argument of its own, not part of 'x{queues...}'",
        (
            "command.2 {quue} is no placeholder: use {queues}, {queue}, {options.NAME}, {max-jobs}, {job-timeout}, "
            "{job-timeout-ms}, {max-memory}, {max-memory-kib}, {max-memory-mib}, {max-lifetime}, "
            "{epoch}, {host}, {pool}, {run}, {slot}"
        ),
        "command.3 {options.none} is not in the table of options: add options.none",
        "pause-signal must be the name of a signal, such as TERM, not 'FOO'",
        "exit-codes must be an exit code from 0 to 255, not 300",
        (
            "exit-reasons.12 must be one of exit, max-jobs, max-memory, max-lifetime, job-timeout, restart, stop, "
            "not 'because'"
        ),
        "exit-reasons.x must be a whole number, not 'x'",
        "patterns.0.rgex is not known: did you mean regex?",
        "patterns.0.literal must not be empty",
        (
            "patterns.0.regex has nested quantifiers or like alternatives in a repeat, which can take exponential "
            "time: make the inner part possessive (a++) or of a fixed length"
        ),
        "patterns.1.regex is missing",
        "patterns.1.meaning must be one of ready, started, done, failed, released, unheard, not 'don'",
        "patterns.1.literal must not hold a line feed",
        'stop-timeout must be a duration such as 90, "90s" or "1h30m", not \'soon\'',
        "jobs-at-once must be at least 1, not 0",
        "enforces must be one of max-jobs, job-timeout, max-memory, max-lifetime, not 'max-job'",
        "env.A must be text, not 1",
        "brokers.redi is not known: did you mean redis?",
        "brokers.redis.ready is missing",
        "brokers.redis.oldest must be one of first, last, not 'middle'",
    ]


def test_a_key_in_both_spellings_is_refused() -> None:
    assert complaints({"drain-signal": "TERM", "drain_signal": "INT"}) == [
        "drain_signal is there twice, as drain-signal and as drain_signal: keep one"
    ]


def test_a_complaint_names_the_key_and_the_problem() -> None:
    assert Shipped().define("mine", {"about": 3}) == [Complaint("about", "must be text, not 3")]


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "reference" / "frameworks.md").read_text("utf-8")

    assert page == render(), "run: python -m fleetd.frameworks.reference > docs/reference/frameworks.md"
