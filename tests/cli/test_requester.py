from __future__ import annotations

import os
import pwd
import socket

import pytest

from fleetd.cli.requester import requester

CI = [
    (
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "alice",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": "acme/app",
            "GITHUB_RUN_ID": "7",
        },
        "alice (https://github.example/acme/app/actions/runs/7)",
    ),
    ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "alice"}, "alice"),
    (
        {"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "bob", "CI_JOB_URL": "https://g.example/7"},
        "bob (https://g.example/7)",
    ),
    ({"CIRCLECI": "true", "CIRCLE_USERNAME": "c", "CIRCLE_BUILD_URL": "https://c.example"}, "c (https://c.example)"),
    ({"JENKINS_URL": "https://j.example", "BUILD_URL": "https://j.example/7"}, "ci (https://j.example/7)"),
    ({"BUILDKITE": "true", "BUILDKITE_BUILD_CREATOR": "Dee"}, "Dee"),
]


@pytest.mark.parametrize(("environ", "who"), CI)
def test_in_ci_it_is_the_person_and_the_job(environ: dict[str, str], who: str) -> None:
    assert requester(environ) == who


def test_what_is_no_text_is_replaced_and_what_is_long_is_cut() -> None:
    assert requester({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "caf\udce9"}) == "caf?"
    assert requester({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "é" * 100_000}) == "é" * 200


def test_elsewhere_it_is_the_user_at_the_host() -> None:
    assert requester({}) == f"{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()}"
    if os.geteuid() == 0:
        assert requester({"SUDO_USER": "alice"}) == f"alice@{socket.gethostname()}"
