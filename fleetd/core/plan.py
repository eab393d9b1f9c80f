"""The difference of two specs, as a value: what a reload would do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from fleetd.core.spec import PoolSpec


class Change(StrEnum):
    """What a reload does to a pool."""

    UNCHANGED = "unchanged"
    LIVE = "applied live"
    ROLLED = "rolled"
    ADDED = "added"
    REMOVED = "removed"


class PoolChange(Struct, frozen=True):
    """What becomes of one pool; `keys` are the fields that differ, spelled as in the pool file."""

    name: str
    change: Change
    keys: tuple[str, ...] = ()


Plan = tuple[PoolChange, ...]

_DISPLAY_ONLY = frozenset({"shown_command"})


def diff(old: Mapping[str, PoolSpec], new: Mapping[str, PoolSpec]) -> Plan:
    """Compare the pools of two specs, in the order of the new one, then what is removed."""
    kept = tuple(_compare(name, old.get(name), spec) for name, spec in new.items())
    return kept + tuple(PoolChange(name, Change.REMOVED) for name in old if name not in new)


def _compare(name: str, old: PoolSpec | None, new: PoolSpec) -> PoolChange:
    if old is None:
        return PoolChange(name, Change.ADDED)
    launch = _differing(old.launch, new.launch) - _DISPLAY_ONLY
    live = _differing(old, new) - {"launch"}
    keys = tuple(sorted(key.replace("_", "-") for key in launch | live))
    if launch:
        return PoolChange(name, Change.ROLLED, keys)
    return PoolChange(name, Change.LIVE if live else Change.UNCHANGED, keys)


def _differing(old: Struct, new: Struct) -> set[str]:
    return {name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name)}
