"""Restart epochs: growing numbers in Redis, at most four of which apply to a worker.

A run records the values that it was started under, and is stale when one of them is now greater.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

LARGEST = 2**53 - 1  # what JSON and Lua numbers hold exactly
FURTHEST_AHEAD = 86_400  # seconds ahead of the coordinator's clock
_INTEGER = re.compile(r"[0-9]{1,16}")


class EpochKey(Struct, frozen=True):
    """Which workers an epoch is for: all of the fleet, or those of one pool, of one host, or of one pool there."""

    pool: str | None = None
    host: str | None = None

    def __str__(self) -> str:
        """Its name in memory and in Redis: "", "pool:P", "host:H" or "host:H:pool:P"."""
        host = () if self.host is None else (f"host:{self.host}",)
        pool = () if self.pool is None else (f"pool:{self.pool}",)
        return ":".join((*host, *pool))

    @classmethod
    def parse(cls, text: str) -> EpochKey:
        """The key of such a name (names of hosts and pools have no colon)."""
        words = text.split(":")
        narrowed = dict(zip(words[::2], words[1::2], strict=False))
        return cls(narrowed.get("pool"), narrowed.get("host"))


def keys_for(host: str, pool: str) -> tuple[EpochKey, EpochKey, EpochKey, EpochKey]:
    """The four that apply to the workers of a pool on a host, in the order of Epochs."""
    return EpochKey(), EpochKey(pool), EpochKey(host=host), EpochKey(pool, host)


def keys_of(host: str, pools: Iterable[str]) -> list[EpochKey]:
    """Every epoch key that applies to some worker of the host."""
    everywhere, here = EpochKey(), EpochKey(host=host)
    return [everywhere, here, *(key for pool in pools for key in (EpochKey(pool), EpochKey(pool, host)))]


class Epochs(Struct, frozen=True, array_like=True):
    """The values that a run was started under; 0 where a key had none."""

    fleet: int = 0
    pool: int = 0
    host: int = 0
    host_pool: int = 0

    @property
    def greatest(self) -> int | None:
        """The worker's epoch, as people see it; None when there never was a request."""
        return max(self.fleet, self.pool, self.host, self.host_pool) or None

    def of(self, key: EpochKey) -> int:
        """The value for one of the four keys."""
        if key.pool is None:
            return self.fleet if key.host is None else self.host
        return self.pool if key.host is None else self.host_pool

    def newest_over(self, older: Epochs | None) -> int | None:
        """The greatest of the values that have grown since `older` (None: whatever there is); None: none has."""
        pairs = zip(self.values(), (0, 0, 0, 0) if older is None else older.values(), strict=True)
        return max((now for now, then in pairs if now > then), default=None)

    def values(self) -> tuple[int, int, int, int]:
        """All four."""
        return self.fleet, self.pool, self.host, self.host_pool


def applying_to(host: str, pool: str, known: Mapping[str, int]) -> Epochs:
    """The known values for the workers of a pool on a host."""
    return Epochs(*(known.get(str(key), 0) for key in keys_for(host, pool)))


def read(raw: str, clock: float) -> int | None:
    """The epoch that a key's text means at the coordinator's time; None for what must not be believed.

    That is what is no integer below 2**53, or more than a day ahead of the clock (Unix seconds).
    """
    if not _INTEGER.fullmatch(raw):
        return None
    value = int(raw)
    return value if value <= min(LARGEST, clock + FURTHEST_AHEAD) else None
