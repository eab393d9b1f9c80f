"""Job lines are read as fast as promised; the figures for the docs are made by `python -m tests.bench.job_lines`."""

from __future__ import annotations

import pytest

from tests.bench.job_lines import NAMES, lines_per_second

FLOOR = 25_000  # of the 100,000 that one core reads where it has nothing else to do


@pytest.mark.parametrize("name", NAMES)
def test_job_lines_of_every_framework_are_read_fast(name: str) -> None:
    assert lines_per_second(name, lines=5_000, rounds=3) > FLOOR
