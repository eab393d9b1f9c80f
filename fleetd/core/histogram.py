"""How long jobs took, by size: counts that only grow, from which any number of hosts can be added up."""

from __future__ import annotations

from bisect import bisect_left

from msgspec import Struct, field

from fleetd.core.spec import Seconds

# Upper bounds of the buckets, in seconds; a last one has none.  Fixed, so that hosts and versions can be compared.
BOUNDS: tuple[Seconds, ...] = (0.01, 0.025, 0.1, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Histogram(Struct):
    """Durations, each counted in the first bucket whose bound it does not exceed; `total` is their sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: Seconds = 0.0

    def add(self, seconds: Seconds) -> None:
        """Count one; a negative one, of a clock that was put back or a worker that errs, counts as none at all."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
