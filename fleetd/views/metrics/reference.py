"""docs/reference/metrics.md, made from the table of metrics so that the two cannot differ."""

from __future__ import annotations

from fleetd.core.histogram import BOUNDS
from fleetd.views.metrics.metric import Kind, Metric
from fleetd.views.metrics.pools import LED_TO_STARTS
from fleetd.views.metrics.table import SECTIONS

_INTRODUCTION = """\
# Metrics

<!-- Made by fleetd.views.metrics.reference from the table of metrics: do not edit. -->

What a daemon with [`metrics-listen`](../metrics.md) serves at `/metrics`.

- A gauge is 0 for an empty queue, and absent where nothing is known: a broker that was not read yet or cannot be
  read, workers that do not tell of their jobs.
- Labels have bounded values: pools, queues, brokers and the fleet are named in pool files, all others are fixed words.
- A counter that begins anew with the daemon is a reset to Prometheus; `rate()` and `increase()` count over it.
"""


def reference() -> str:
    """The page, as Markdown."""
    parts = [_INTRODUCTION]
    for title, metrics in SECTIONS:
        head = [f"## {title}", "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([*head, *map(_row, metrics), ""]))
    bounds = ", ".join(f"{bound:g}" for bound in BOUNDS)
    reasons = ", ".join(f"`{reason}`" for reason in LED_TO_STARTS)
    parts.append(
        f"The buckets of `fleetd_job_runtime_seconds` end at {bounds} seconds.\n\n"
        f"The reasons of `fleetd_worker_starts_total`: {reasons}.\n"
    )
    return "\n".join(parts)


def _row(metric: Metric) -> str:
    name = f"`{metric.name}`"
    if metric.kind is Kind.HISTOGRAM:
        name += "".join(f"<br>`{metric.name}{suffix}`" for suffix in ("_bucket", "_count", "_sum"))
    labels = " ".join(f"`{label}`" for label in metric.labels)
    cells = (name, str(metric.kind), labels, metric.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
