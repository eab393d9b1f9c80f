"""A machine that systemd runs, and an instance on it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.real_systemd import Machine, machine
from tests.support.systemd_unit import Unit

_numbers = count(1)


@pytest.fixture(scope="session")
def host() -> Iterator[Machine]:
    """One machine for all tests that keep to units of their own."""
    with machine() as up:
        yield up


@pytest.fixture
def unit(host: Machine) -> Iterator[Unit]:
    """An instance that is not installed yet."""
    made = Unit(host, f"i{next(_numbers)}")
    yield made
    print(made.journal())  # shown where the test failed
    made.remove()
    assert made.processes() == []
