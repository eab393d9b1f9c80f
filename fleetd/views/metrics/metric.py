"""One row of the table of metrics, and what its samples are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from fleetd.views.snapshot import Snapshot


class Own(Struct, frozen=True):
    """What the daemon itself uses, and runs on."""

    python: str  # version
    resident: int  # bytes
    cpu: float  # seconds
    started: float  # Unix seconds: its process, which an upgrade keeps
    open_files: int
    most_files: int


class OfPool(Struct, frozen=True):
    """What the main processes of a pool's workers use: bytes now; CPU seconds, and output lost, that only grow."""

    resident: int = 0
    cpu: float = 0.0
    output_dropped: int = 0


class Scrape(Struct, frozen=True):
    """All that is known when somebody asks."""

    host: Snapshot
    own: Own
    pools: Mapping[str, OfPool]


class Buckets(Struct, frozen=True):
    """A histogram's sample: counts by upper bound, not added up, the last one without a bound; and the sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Kind(StrEnum):
    """The kinds of Prometheus."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"  # always 1: its labels tell


Value = float | Buckets
Sample = tuple[tuple[str, ...], Value]  # the values of the labels, in the order of their names
Draw = Callable[[Scrape], Iterable[Sample]]


class Metric(Struct, frozen=True):
    """A metric: `name` as it is served, with the suffix of its kind; `draw` yields nothing for what is not known."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    draw: Draw
