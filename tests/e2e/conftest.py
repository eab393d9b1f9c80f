"""Fixtures of the end-to-end tests: an instance of root's, and one of an ordinary user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.ordinary_user import UID, OrdinaryUsersFleetd


@pytest.fixture
def ordinary(short_path: Path) -> Iterator[Fleetd]:
    """An instance of an ordinary user, who can make no cgroups; without root that is who runs the tests."""
    if os.geteuid() != 0:
        instance = Fleetd(short_path)
    else:
        os.chown(short_path, UID, UID)
        instance = OrdinaryUsersFleetd(short_path)
    yield instance
    left = instance.end()
    assert not left, f"left after `fleetd stop --now`: {left}"


@pytest.fixture(params=["fleetd", "ordinary"], ids=["own user", "ordinary user"])
def anyones(request: pytest.FixtureRequest) -> Fleetd:
    """An instance of whoever runs the tests, and one of an ordinary user."""
    if request.param == "fleetd" and os.geteuid() != 0:
        pytest.skip("whoever runs the tests is an ordinary user already")
    instance: Fleetd = request.getfixturevalue(request.param)
    return instance


@pytest.fixture
def let_go(fleetd: Fleetd) -> Iterator[Path]:
    """The directory of workers that end only when told (`programs.STUBBORN`); at the end of the test all are."""
    yield fleetd.directory
    (fleetd.directory / "leave").touch()
