"""What was measured: figures, their medians, and their ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

FLOOR = "C floor"
FLEETD = "fleetd"


@dataclass(slots=True)
class Figure:
    """One measure of one contender, over all repetitions.  Without values it failed, and `failed` says why."""

    case: str  # such as "start"
    measure: str  # what and in which unit: "500 workers, s"
    contender: str
    values: list[float] = field(default_factory=list)
    failed: str = ""

    @property
    def median(self) -> float | None:
        """The middle one of the values."""
        return statistics.median(self.values) if self.values else None

    def summary(self) -> dict[str, float]:
        """Its median and its ends, for a reader of the JSON."""
        if not self.values:
            return {}
        return {"median": statistics.median(self.values), "min": min(self.values), "max": max(self.values)}


class Figures:
    """All figures of one run of the benchmark, in the order in which they came."""

    def __init__(self, figures: Iterable[Figure] = ()) -> None:
        self._figures = {(figure.case, figure.measure, figure.contender): figure for figure in figures}
        self._order: dict[tuple[str, str], None] = {}  # case and measure, as announced
        self.notes: dict[str, list[str]] = {}  # by case

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._figures.values())

    def announce(self, case: str, measures: Iterable[str]) -> None:
        """Say in which order the measures of a case stand, whoever comes first with one."""
        self._order |= {(case, measure): None for measure in measures}

    def add(self, case: str, measure: str, contender: str, value: float) -> None:
        """One more value."""
        self._figure(case, measure, contender).values.append(value)

    def fail(self, case: str, measure: str, contender: str, why: str) -> None:
        """A measurement that came to nothing."""
        self._figure(case, measure, contender).failed = why

    def note(self, case: str, text: str) -> None:
        """Something that a reader of the table has to know; said once."""
        notes = self.notes.setdefault(case, [])
        if text not in notes:
            notes.append(text)

    def forget(self, case: str) -> None:
        """Drop what was measured in a case."""
        self._figures = {key: figure for key, figure in self._figures.items() if figure.case != case}

    def get(self, case: str, measure: str, contender: str) -> Figure | None:
        """One figure, if there is one."""
        return self._figures.get((case, measure, contender))

    def cases(self) -> list[str]:
        """The cases that have figures."""
        return list(dict.fromkeys(figure.case for figure in self._figures.values()))

    def measures(self, case: str) -> list[str]:
        """What was measured in a case."""
        with_figures = {figure.measure: None for figure in self._figures.values() if figure.case == case}
        announced = {measure: None for of, measure in self._order if of == case and measure in with_figures}
        return list(announced | with_figures)

    def contenders(self, case: str) -> list[str]:
        """Who took part in a case, the floor first, then fleetd in all its ways."""
        names = dict.fromkeys(figure.contender for figure in self._figures.values() if figure.case == case)
        return sorted(names, key=lambda name: (name != FLOOR, not name.startswith(FLEETD)))

    def ratio(self, case: str, measure: str, contender: str, to: str) -> float | None:
        """How many times the median of `to` that of `contender` is; None where one is missing or zero."""
        one, other = self.get(case, measure, contender), self.get(case, measure, to)
        if one is None or other is None or one.median is None or not other.median:
            return None
        return one.median / other.median

    def _figure(self, case: str, measure: str, contender: str) -> Figure:
        return self._figures.setdefault((case, measure, contender), Figure(case, measure, contender))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
