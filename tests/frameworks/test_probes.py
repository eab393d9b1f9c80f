"""Probes in framework files: what is accepted, and how versions compare."""

from __future__ import annotations

from typing import Any

import pytest

from fleetd.frameworks.framework import Framework, builtin, builtin_names, define
from fleetd.frameworks.probes import is_older, version_of
from fleetd.frameworks.regex import problems

PROBE = {"means": "version", "about": "mine", "command": ["mine", "--version"], "regex": r"^mine (?P<value>[\d.]++)$"}


def complaints(**changed: Any) -> list[str]:
    probe = {key: value for key, value in {**PROBE, **changed}.items() if value is not None}
    result = define("mine", {"options": {"size": {}}, "probes": [probe]})
    return [] if isinstance(result, Framework) else [f"{each.key} {each.message}" for each in result]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"minimum": "1.2", "options": {"size": "2.0"}},
        {"means": "retry-after", "default": "1h", "against": 60, "only-with": "redis"},
        {"means": "extension", "without": "it is slow", "remedy": "install it"},
        {"command": [["{options.size}", "--version"]]},
        {"only_with": "redis"},
    ],
)
def test_what_is_accepted(changed: dict[str, Any]) -> None:
    assert complaints(**changed) == []


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"about": None}, "probes.0.about is missing"),
        ({"command": None}, "probes.0.command is missing"),
        ({"means": "colour"}, "probes.0.means must be one of version, extension, retry-after, not 'colour'"),
        ({"regex": "("}, "probes.0.regex is no regular expression"),
        ({"regex": "(a+)+$"}, "probes.0.regex has nested quantifiers"),
        ({"regex": "(?P<id>a)"}, "probes.0.regex has a group id: only value has a meaning"),
        ({"minimum": "new"}, "probes.0.minimum must be a version such as \"11.27\", not 'new'"),
        ({"options": {"sise": "1.0"}}, "probes.0.options.sise is not in the framework's table of options"),
        ({"command": ["{options.sise}"]}, "probes.0.command.0 {options.sise} is not in the table of options"),
        ({"comand": ["x"]}, "probes.0.comand is not known: did you mean command?"),
    ],
)
def test_what_is_refused(changed: dict[str, Any], complaint: str) -> None:
    assert any(each.startswith(complaint) for each in complaints(**changed)), complaints(**changed)


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("8.83.26", "8.0", False),
        ("8.9", "8.10", True),
        ("11.26.9", "11.27", True),
        ("11.27.0", "11.27", False),
        ("12", "11.27", False),
        ("11", "11.27", False),
        ("9.0.0-dev", "9.0.1", True),
        ("dev-main", "8.0", False),
    ],
)
def test_versions(version: str, than: str, older: bool) -> None:
    assert is_older(version, than) is older


def test_the_numbers_of_a_version() -> None:
    assert version_of("11.27.0-dev") == (11, 27, 0)
    assert version_of("v1") == ()


@pytest.mark.parametrize("name", builtin_names())
def test_shipped_expressions_are_as_strict_as_a_users(name: str) -> None:
    framework = builtin(name)
    assert framework is not None
    assert [found for probe in framework.probes for found in problems(probe.regex, ("value",))] == []


def test_options_are_filled_in_as_in_the_command() -> None:
    framework = builtin("laravel")
    assert framework is not None
    version, _, retry_after = framework.probes
    assert framework.probe_line(version, {"php": "php8.3"}) == ("php8.3", "artisan", "--version")
    assert framework.probe_line(retry_after, {"connection": "sqs"})[-2:] == ("artisan", "sqs")
    assert framework.probe_line(retry_after, {})[-1] == "artisan"


def test_the_first_line_that_matches_answers() -> None:
    framework = builtin("rq")
    assert framework is not None
    (probe,) = framework.probes
    assert probe.value("warning: old\n\x1b[1mrq, version 2.6.0\x1b[0m\nrq, version 9\n") == "2.6.0"
    assert probe.value("nothing") is None
