"""What became of a pool's jobs in the last hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from fleetd.core.minutes import History

MINUTES = 60  # that are told one by one


class Lately(Struct, frozen=True):
    """By queue: how many jobs ended in each of the last minutes, if they were seen, and failed in all of them."""

    none: tuple[int, ...]
    ended: Mapping[str | None, tuple[int, ...]]
    failed: Mapping[str | None, int]

    def of(self, queue: str) -> tuple[tuple[int, ...], int]:
        """Of one queue."""
        return self.ended.get(queue, self.none), self.failed.get(queue, 0)

    def of_all(self) -> tuple[tuple[int, ...], int]:
        """Of the whole pool."""
        return tuple(map(sum, zip(self.none, *self.ended.values(), strict=True))), sum(self.failed.values())


def lately(history: History, unix: float, pools: Iterable[str]) -> Mapping[str, Lately]:
    """Of these pools, at `unix`."""
    none, ended, failed = history.seen(unix, MINUTES), history.lately(unix, MINUTES), history.failed(unix, MINUTES)
    return {name: Lately(none, ended.get(name, {}), failed.get(name, {})) for name in pools}
