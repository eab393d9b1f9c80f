"""The table of metrics in the formats of Prometheus, by prometheus-client: imported where a daemon listens only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

from msgspec import Struct
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family

from fleetd.views.metrics.metric import Buckets, Kind, Metric, Scrape
from fleetd.views.metrics.table import TABLE

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_ACCEPTS = re.compile(r"application/openmetrics-text\s*;[^,]*\bversion=1\.")
_SUFFIX = {Kind.COUNTER: "_total", Kind.INFO: "_info"}  # which the library adds to the name of a family


def exposed(scrape: Scrape, accept: str) -> tuple[bytes, str]:
    """What /metrics answers, as OpenMetrics where that is accepted, else as plain text; and its content type."""
    encode, kind = choose_encoder(_OPENMETRICS if _ACCEPTS.search(accept) else "")  # which trips over odd headers
    return encode(_Collector(scrape)), kind


class _Collector(Struct, frozen=True):
    """What the library asks for metrics."""

    scrape: Scrape

    def collect(self) -> Iterator[Family]:
        for metric in TABLE:
            yield _family(metric, self.scrape)


def _family(metric: Metric, scrape: Scrape) -> Family:
    family = Family(metric.name.removesuffix(_SUFFIX.get(metric.kind, "")), metric.help, metric.kind)
    seen: set[tuple[str, ...]] = set()  # a series that is there twice would have the whole scrape refused
    for values, value in metric.draw(scrape):
        shown = tuple(map(_safe, values))
        if shown in seen:
            continue
        seen.add(shown)
        labels = dict(zip(metric.labels, shown, strict=True))
        if isinstance(value, Buckets):
            _add_buckets(family, labels, value)
        else:
            family.add_sample(metric.name, labels, value)
    return family


def _add_buckets(family: Family, labels: dict[str, str], buckets: Buckets) -> None:
    counts = list(accumulate(buckets.counts))
    for bound, count in zip((*(repr(float(bound)) for bound in buckets.bounds), "+Inf"), counts, strict=True):
        family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
    family.add_sample(f"{family.name}_count", labels, counts[-1])
    family.add_sample(f"{family.name}_sum", labels, buckets.total)


def _safe(text: str) -> str:
    r"""Text with control characters written as `\x07`, and bytes that are no UTF-8 as `\udcff`."""
    visible = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return visible.encode(errors="backslashreplace").decode()
