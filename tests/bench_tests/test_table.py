from __future__ import annotations

import pytest

from tests.bench.figures import FLEETD, FLOOR, Figures, percentile
from tests.bench.table import as_markdown, as_text, number


def measured() -> Figures:
    figures = Figures()
    figures.announce("start", ["10 workers, s", "500 workers, s"])
    for value in (0.9, 0.5, 0.6):
        figures.add("start", "500 workers, s", FLEETD, value)
    figures.add("start", "500 workers, s", FLOOR, 0.3)
    figures.fail("start", "500 workers, s", "runit", "OverdueError: 3 of 500")
    figures.add("start", "10 workers, s", FLEETD, 0.25)
    figures.note("start", "From the exec.")
    figures.note("start", "From the exec.")
    return figures


def test_the_median_counts_for_the_ratios() -> None:
    figures = measured()
    assert figures.ratio("start", "500 workers, s", FLEETD, FLOOR) == pytest.approx(2.0)
    assert figures.ratio("start", "500 workers, s", FLOOR, FLEETD) == pytest.approx(0.5)


def test_there_is_no_ratio_to_nothing() -> None:
    figures = measured()
    figures.add("idle", "CPU %", FLEETD, 0.1)
    figures.add("idle", "CPU %", FLOOR, 0.0)
    assert figures.ratio("idle", "CPU %", FLEETD, FLOOR) is None
    assert figures.ratio("start", "10 workers, s", FLEETD, FLOOR) is None
    assert figures.ratio("start", "500 workers, s", "runit", FLOOR) is None


def test_the_table_is_aligned_and_says_what_failed_and_why() -> None:
    assert as_text(measured(), "start").splitlines() == [
        "start           C floor          fleetd   runit",
        "-----------------------------------------------",
        "10 workers, s                     0.250",
        "500 workers, s    0.300           0.600  failed",
        "  from .. to             0.500 .. 0.900",
        "  x C floor        1.00            2.00",
        "  x fleetd        0.500            1.00",
        "From the exec.",
        "failed: runit (500 workers, s): OverdueError: 3 of 500",
    ]


def test_the_page_has_the_medians_and_the_ratios_to_all_others() -> None:
    assert as_markdown(measured()).splitlines() == [
        "| start | C floor | fleetd | runit | fleetd / C floor, runit |",
        "|---|---|---|---|---|",
        "| 10 workers, s |  | 0.250 |  |  |",
        "| 500 workers, s | 0.300 | 0.600 | failed | 2.00, - |",
        "",
        "From the exec.",
        "failed: runit (500 workers, s): OverdueError: 3 of 500",
    ]


def test_what_is_forgotten_can_be_measured_again() -> None:
    figures = measured()
    figures.forget("start")
    figures.add("start", "500 workers, s", FLEETD, 0.4)
    figure = figures.get("start", "500 workers, s", FLEETD)
    assert figure is not None
    assert figure.summary() == {"median": 0.4, "min": 0.4, "max": 0.4}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00123, "0.0012"),
        (0.25, "0.250"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (2093.4, "2,093"),
    ],
)
def test_a_number_has_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(50, 0, -1)]
    assert percentile(values, 0.5) == 25
    assert percentile(values, 0.99) == 50
    assert percentile([7.0], 0.5) == 7
