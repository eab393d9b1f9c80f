"""What fleetd is expected to take, and when `make bench-quick` fails for it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.bench import Scale
from tests.bench.cases import output, replace, start, status, stop
from tests.bench.figures import FLEETD, FLOOR, Figure, Figures

SLACK = 3.0  # a figure may be so many times what is expected: machines differ, and CI is noisy


@dataclass(frozen=True, slots=True)
class Expected:
    """A figure of fleetd's: `times` the floor's, or `value` where the floor has none."""

    case: str
    measure: str
    contender: str = FLEETD
    times: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A figure that is further off than SLACK, or that there is none of."""

    case: str
    why: str
    is_failure: bool  # fleetd did not do it at all: that is no matter of speed


def expectations(scale: Scale) -> tuple[Expected, ...]:
    """The table."""
    workers = scale.workers
    return (
        Expected(start.CASE, start.title(scale.starts[-1]), times=2.0),
        Expected(replace.CASE, replace.KILLED[50], value=3.0),
        Expected(replace.CASE, replace.all_killed(workers), times=2.5),
        Expected(stop.CASE, stop.titles(workers)[0], times=4.0),
        Expected(status.CASE, status.title(workers), value=80.0),
    )


def off(figures: Figures, scale: Scale) -> list[Broken]:
    """The expectations that are broken; those without a figure are not."""
    found: list[Broken] = []
    for expected in expectations(scale):
        figure = figures.get(expected.case, expected.measure, expected.contender)
        if figure is None:
            continue
        why = _why(figures, expected, figure)
        if why is not None:
            told = f"{expected.case}, {expected.measure}, {expected.contender}: {why}"
            found.append(Broken(expected.case, told, is_failure=figure.median is None))
    return found


def _why(figures: Figures, expected: Expected, figure: Figure) -> str | None:
    if figure.median is None:
        return figure.failed
    if expected.value is not None:
        found, limit, unit = figure.median, expected.value, ""
    else:
        ratio = figures.ratio(expected.case, expected.measure, expected.contender, FLOOR)
        if ratio is None or expected.times is None:
            return "there is no floor to compare with"
        found, limit, unit = ratio, expected.times, " x the floor"
    if found <= SLACK * limit:
        return None
    return f"{found:.3g}{unit}; expected {limit:g}{unit}, allowed {SLACK * limit:g}{unit}"


def lost_or_torn(figures: Figures) -> list[str]:
    """Output of fleetd that was lost or torn, for which there is no slack, or that could not be verified."""
    verified = [
        figure
        for figure in figures
        if figure.case == output.CASE and figure.measure.endswith((output.LOST, output.TORN))
    ]
    return [
        f"output, {figure.measure}, {figure.contender}: {figure.failed or max(figure.values)}"
        for figure in verified
        if figure.failed or any(figure.values)
    ]
