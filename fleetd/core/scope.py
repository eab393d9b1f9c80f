"""What a restart request is for: hosts and pools, each narrowed or all."""

from __future__ import annotations

from msgspec import Struct

from fleetd.core.epochs import EpochKey


class Scope(Struct, frozen=True):
    """The hosts and pools of a request; None stands for all, also for those that join later."""

    hosts: tuple[str, ...] | None = None
    pools: tuple[str, ...] | None = None

    def keys(self) -> list[EpochKey]:
        """The epoch keys that the request raises."""
        return [EpochKey(pool, host) for host in self.hosts or (None,) for pool in self.pools or (None,)]

    def key_for(self, host: str, pool: str) -> EpochKey | None:
        """The one of them that applies to the workers of a pool on a host; None: they are not meant."""
        if (self.hosts is not None and host not in self.hosts) or (self.pools is not None and pool not in self.pools):
            return None
        return EpochKey(pool if self.pools is not None else None, host if self.hosts is not None else None)

    def covers(self, other: Scope) -> bool:
        """Whether everything that `other` is for is in this one, too."""
        return _covers(self.hosts, other.hosts) and _covers(self.pools, other.pools)

    def with_all_of(self, other: Scope) -> Scope:
        """The narrowest scope that covers both."""
        return Scope(_union(self.hosts, other.hosts), _union(self.pools, other.pools))

    def __str__(self) -> str:
        """For people: "all hosts", "pool media on host media-1"."""
        pools = "" if self.pools is None else f"pool{'s' * (len(self.pools) > 1)} {', '.join(self.pools)} on "
        hosts = "all hosts" if self.hosts is None else f"host{'s' * (len(self.hosts) > 1)} {', '.join(self.hosts)}"
        return pools + hosts


def _union(mine: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if mine is None or theirs is None:
        return None
    return (*mine, *(each for each in theirs if each not in mine))


def _covers(mine: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> bool:
    return mine is None or (theirs is not None and set(theirs) <= set(mine))
