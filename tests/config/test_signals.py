"""Signal names and numbers, against what this Linux says."""

from __future__ import annotations

import signal

import pytest

from fleetd.core.signals import NAMES, name_of, number_of


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_the_system(name: str) -> None:
    assert number_of(name) == getattr(signal, f"SIG{name}")
    assert name_of(getattr(signal, f"SIG{name}")) == name


@pytest.mark.parametrize(
    ("name", "number"), [("TERM", 15), ("SIGTERM", 15), ("sigusr2", 12), ("9", 9), ("RTMIN+2", 36), ("64", 64)]
)
def test_spellings(name: str, number: int) -> None:
    assert number_of(name) == number


@pytest.mark.parametrize("name", ["", "TREM", "0", "32", "65", "-1", "RTMIN+99", "RTMIN+x", "SIG", "²"])
def test_no_signals(name: str) -> None:
    assert number_of(name) is None


@pytest.mark.parametrize("number", [*range(1, 32), *range(34, 65)])
def test_each_number_has_a_name_that_is_read_back(number: int) -> None:
    assert number_of(name_of(number)) == number
