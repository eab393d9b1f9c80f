from __future__ import annotations

import pytest

from tests.bench import expected
from tests.bench.cases import output, start, status
from tests.bench.figures import FLEETD, FLOOR, Figures
from tests.bench.quick import SCALE

STARTED = start.title(SCALE.starts[-1])


def started(fleetd: float, floor: float | None) -> Figures:
    figures = Figures()
    figures.add(start.CASE, STARTED, FLEETD, fleetd)
    if floor is not None:
        figures.add(start.CASE, STARTED, FLOOR, floor)
    return figures


def test_what_is_within_three_times_the_expected_ratio_is_well() -> None:
    assert expected.off(started(0.59, 0.1), SCALE) == []


@pytest.mark.parametrize(("fleetd", "floor"), [(0.61, 0.1), (0.1, None)], ids=["too slow", "nothing to compare with"])
def test_what_is_further_off_is_told(fleetd: float, floor: float | None) -> None:
    (broken,) = expected.off(started(fleetd, floor), SCALE)
    assert broken.case == start.CASE
    assert STARTED in broken.why


def test_a_value_without_a_floor_has_a_limit_too() -> None:
    figures = Figures()
    figures.add(status.CASE, status.title(SCALE.workers), FLEETD, 241.0)
    (broken,) = expected.off(figures, SCALE)
    assert "241" in broken.why
    assert "240" in broken.why


def test_what_failed_is_off() -> None:
    figures = Figures()
    figures.fail(start.CASE, STARTED, FLEETD, "OverdueError: 3 of 500")
    assert [broken.why for broken in expected.off(figures, SCALE)] == [
        f"{start.CASE}, {STARTED}, {FLEETD}: OverdueError: 3 of 500"
    ]


@pytest.mark.parametrize("what", [output.LOST, output.TORN])
def test_a_single_line_is_too_many(what: str) -> None:
    figures = Figures()
    figures.add(output.CASE, f"50 flooding: {what}", FLEETD, 0.0)
    assert expected.lost_or_torn(figures) == []
    figures.add(output.CASE, f"50 flooding: {what}", FLEETD, 1.0)
    assert len(expected.lost_or_torn(figures)) == 1


def test_output_that_could_not_be_verified_is_told() -> None:
    figures = Figures()
    figures.fail(output.CASE, f"50 flooding: {output.LOST}", FLEETD, "OverdueError: no end")
    assert len(expected.lost_or_torn(figures)) == 1
