"""What the machine must offer: missing, a test is skipped with the reason, but in CI it fails."""

from __future__ import annotations

import os

import pytest


def in_ci() -> bool:
    """Whether CI runs the tests: there, every service must be present."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def need(present: object, remedy: str) -> None:
    """Goes on if `present`; otherwise the test is skipped, or fails in CI, with `remedy` as its reason."""
    if present:
        return
    if in_ci():
        pytest.fail(f"missing in CI: {remedy}", pytrace=False)
    pytest.skip(remedy)
