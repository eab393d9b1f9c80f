"""TARGET on the command line: a pool (`media`), a worker (`media:0`), or a shell pattern over either.

A pattern that matches a pool means the pool itself; `media:*` means its workers, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from fleetd.core.events import Target
from fleetd.errors import NotFoundError


def resolve(patterns: Iterable[str], pools: Mapping[str, Iterable[int]]) -> tuple[Target, ...]:
    """The targets that the patterns name, each once; without a pattern, every pool.

    `pools` are the slots by pool.  Raises NotFoundError for a pattern that names nothing.
    """
    wanted = tuple(patterns)
    if not wanted:
        return tuple(Target(pool) for pool in pools)
    found: dict[Target, None] = {}
    for pattern in wanted:
        matched = _match(pattern, pools)
        if not matched:
            raise NotFoundError(f"{pattern}: no such pool or worker; there are {_known(pools)}")
        found |= dict.fromkeys(matched)
    return tuple(found)


def _match(pattern: str, pools: Mapping[str, Iterable[int]]) -> list[Target]:
    whole = [Target(pool) for pool in pools if fnmatchcase(pool, pattern)]
    single = [
        Target(pool, slot)
        for pool, slots in pools.items()
        for slot in sorted(slots)
        if fnmatchcase(f"{pool}:{slot}", pattern)
    ]
    covered = {target.pool for target in whole}
    return whole + [target for target in single if target.pool not in covered]


def _known(pools: Mapping[str, Iterable[int]]) -> str:
    return "pools " + ", ".join(sorted(pools)) if pools else "no pools"
