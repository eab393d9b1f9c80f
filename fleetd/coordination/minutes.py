"""The history of a fleet's jobs, of many members."""

from __future__ import annotations

from collections.abc import Iterable

from fleetd.coordination.port import Row


def summed_up(rows: Iterable[Row]) -> tuple[Row, ...]:
    """One row for each pool and queue, sorted by them: what all members, and all their lives, have told."""
    sums: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row.pool, row.queue or ""
        sums[key] = _sum(sums[key], row) if key in sums else row
    return tuple(sums[key] for key in sorted(sums))


def _sum(one: Row, other: Row) -> Row:
    return Row(
        one.pool,
        one.queue,
        one.done + other.done,
        one.failed + other.failed,
        one.runtime + other.runtime,
        one.timed + other.timed,
        one.wait + other.wait,
        one.waited + other.waited,
    )
