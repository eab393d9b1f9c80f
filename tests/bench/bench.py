"""What every case is given, and how it tries."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.board import OverdueError
from tests.bench.figures import Figures
from tests.bench.fleet import Contender


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything."""

    starts: Sequence[int] = (10, 100, 500, 2000)  # workers, in the case of this name
    workers: int = 500  # in the others
    kills: int = 50
    repeat: int = 3
    idle: float = 20.0  # seconds
    exits: float = 10.0  # seconds
    flood: int = 256_000_000  # bytes, by all together
    rate: int = 10_000_000  # bytes a second
    steady: float = 10.0  # seconds


@dataclass(slots=True)
class Bench:
    """One run of the benchmark."""

    worker: Path  # the compiled program
    contenders: Sequence[Contender]  # as they are measured where a case asks for nothing special
    scale: Scale
    tell: Callable[[str], None]
    figures: Figures = field(default_factory=Figures)

    def attempt(
        self,
        case: str,
        contender: Contender,
        measures: Sequence[str],
        measure: Callable[[Contender], Mapping[str, float]],
    ) -> None:
        """Call `measure` once and keep what it answers; if it fails, so do all `measures`, and the rest goes on."""
        self.figures.announce(case, measures)
        began = time.monotonic()
        try:
            values = measure(contender)
        except (OverdueError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            for title in measures:
                self.figures.fail(case, title, contender.label, why)
            self.tell(f"{case}, {contender.label}: failed: {why}")
            return
        for title, value in values.items():
            self.figures.add(case, title, contender.label, value)
        self.tell(f"{case}, {contender.label}: {said(values)} ({time.monotonic() - began:.1f} s)")

    def repeat(
        self,
        case: str,
        contender: Contender,
        measures: Sequence[str],
        measure: Callable[[Contender], Mapping[str, float]],
    ) -> None:
        """The same as often as the scale says, but not again after a failure."""
        for _ in range(self.scale.repeat):
            self.attempt(case, contender, measures, measure)
            figure = self.figures.get(case, measures[0], contender.label)
            if figure is not None and figure.failed:
                return


def said(values: Mapping[str, float]) -> str:
    """Values on one line."""
    return "; ".join(f"{title} {value:.4g}" for title, value in values.items())
