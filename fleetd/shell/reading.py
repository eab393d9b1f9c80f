"""How a pool's output is read and kept."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct, field

from fleetd.core.spec import LinePattern, LogSpec
from fleetd.frameworks.lines import Patterns, Scanner


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
