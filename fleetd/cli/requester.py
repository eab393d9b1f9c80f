"""Who asks: a person at a host, or a job of a CI service."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class _Service(NamedTuple):
    """A CI service: the variable that is set by it alone, the one with the person, those of the job's address."""

    mark: str
    person: str
    job: Sequence[str]


# Each from the service's list of predefined variables; what begins with = is no variable.
_SERVICES = (
    _Service("GITHUB_ACTIONS", "GITHUB_ACTOR",
             ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "=actions/runs", "GITHUB_RUN_ID")),
    _Service("GITLAB_CI", "GITLAB_USER_LOGIN", ("CI_JOB_URL",)),
    _Service("CIRCLECI", "CIRCLE_USERNAME", ("CIRCLE_BUILD_URL",)),
    _Service("BUILDKITE", "BUILDKITE_BUILD_CREATOR", ("BUILDKITE_BUILD_URL",)),
    _Service("JENKINS_URL", "BUILD_USER_ID", ("BUILD_URL",)),
)  # fmt: skip


_LONGEST = 200  # characters: it stands in every report


def requester(environ: Mapping[str, str] = os.environ) -> str:
    """The person and the job's address in CI, "alice (https://…/jobs/7)"; "alice@deploy-1" elsewhere.

    Text of at most 200 characters, also where the environment has bytes that are not UTF-8.
    """
    return _asker(environ).encode(errors="replace").decode()[:_LONGEST]


def _asker(environ: Mapping[str, str]) -> str:
    for service in _SERVICES:
        if environ.get(service.mark):
            parts = [part[1:] if part.startswith("=") else environ.get(part, "") for part in service.job]
            job = "/".join(parts) if all(parts) else ""
            person = environ.get(service.person) or "ci"
            return f"{person} ({job})" if job else person
    return f"{_user(environ)}@{socket.gethostname()}"


def _user(environ: Mapping[str, str]) -> str:
    """The caller's account; behind sudo that of who called it."""
    if os.geteuid() == 0 and environ.get("SUDO_USER"):
        return environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
