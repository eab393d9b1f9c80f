"""How a pool's output is read and kept."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct, field

from fleetd.core.events import JobReported, RunId, SaidReady, SignalLost, Source
from fleetd.core.spec import LineMeaning, LinePattern, LogSpec
from fleetd.frameworks.lines import LineReport, Patterns, Scanner


class Reading(Struct, frozen=True):
    """As the pool files say it."""

    log: LogSpec = field(default_factory=LogSpec)
    patterns: tuple[LinePattern, ...] = ()

    def scanner(self) -> Scanner | None:
        """What looks for job lines in one run's output; None where no line means anything."""
        return Scanner(_compiled(self.patterns)) if self.patterns else None


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[LinePattern, ...]) -> Patterns:
    return Patterns(patterns)


def event_of(run: RunId, report: LineReport) -> SaidReady | SignalLost | JobReported:
    """What a line of a run's output tells."""
    if report.meaning is LineMeaning.READY:
        return SaidReady(run, Source.OUTPUT)
    if report.meaning is LineMeaning.UNHEARD:
        return SignalLost(run)
    return JobReported(
        run,
        report.meaning,
        Source.OUTPUT,
        id=report.id,
        name=report.name,
        queue=report.queue,
        runtime=report.runtime,
        enqueued_at=report.enqueued_at,
    )
