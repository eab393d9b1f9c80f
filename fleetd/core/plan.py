"""The difference of two specs, as a value: what a reload would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from fleetd.core.spec import FleetSpec, PoolSpec


class Change(StrEnum):
    """What a reload does to a pool."""

    UNCHANGED = "unchanged"
    LIVE = "applied live"
    ROLLED = "rolled"
    ADDED = "added"
    REMOVED = "removed"
    LATER = "holds from the next start of the daemon on"


class PoolChange(Struct, frozen=True):
    """What becomes of one pool, or table; `keys` are those that differ, spelled as in the pool file."""

    name: str
    change: Change
    keys: tuple[str, ...] = ()


Plan = tuple[PoolChange, ...]

_DISPLAY_ONLY = frozenset({"shown_command"})
LIVE_OF_DAEMON = frozenset({"metrics-listen"})
LIVE_OF_FLEET = frozenset({"max-parallel-hosts"})


def diff(old: Mapping[str, PoolSpec], new: Mapping[str, PoolSpec]) -> Plan:
    """Compare the pools of two specs, in the order of the new one, then what is removed."""
    kept = tuple(_compare(name, old.get(name), spec) for name, spec in new.items())
    return kept + tuple(PoolChange(name, Change.REMOVED) for name in old if name not in new)


def diff_of_tables(old: FleetSpec, new: FleetSpec) -> Plan:
    """Compare what stands outside of the pools: of each table what is applied now, and what later."""
    daemon = _spelled(_differing(old.daemon, new.daemon))
    fleet = _of_fleet(old, new)
    brokers = {name for name in {**old.brokers, **new.brokers} if old.brokers.get(name) != new.brokers.get(name)}
    told = (
        ("daemon", Change.LIVE, daemon & LIVE_OF_DAEMON),
        ("daemon", Change.LATER, daemon - LIVE_OF_DAEMON),
        ("fleet", Change.LIVE, fleet & LIVE_OF_FLEET),
        ("fleet", Change.LATER, fleet - LIVE_OF_FLEET),
        ("broker", Change.LIVE, brokers),
        ("alert", Change.LIVE, {alert.on for alert in set(old.alerts) ^ set(new.alerts)}),
    )
    return tuple(PoolChange(table, change, tuple(sorted(keys))) for table, change, keys in told if keys)


def as_it_runs(old: FleetSpec, new: FleetSpec) -> FleetSpec:
    """The new spec for a daemon that goes on: what holds from its next start on is as before."""
    member = old.member
    if member is not None and new.member is not None:
        member = replace(member, max_parallel_hosts=new.member.max_parallel_hosts)
    daemon = replace(old.daemon, metrics_listen=new.daemon.metrics_listen)
    return replace(new, daemon=daemon, member=member, host=old.host)


def _of_fleet(old: FleetSpec, new: FleetSpec) -> set[str]:
    host = {"host"} if old.host != new.host else set()
    if old.member is None or new.member is None:
        return host | ({"name", "redis"} if old.member != new.member else set())
    return host | {"name" if key == "fleet" else key for key in _spelled(_differing(old.member, new.member))}


def _spelled(fields: Iterable[str]) -> set[str]:
    return {name.replace("_", "-") for name in fields}


def _compare(name: str, old: PoolSpec | None, new: PoolSpec) -> PoolChange:
    if old is None:
        return PoolChange(name, Change.ADDED)
    launch = _differing(old.launch, new.launch) - _DISPLAY_ONLY
    live = _differing(old, new) - {"launch"}
    keys = tuple(sorted(_spelled(launch | live)))
    if launch:
        return PoolChange(name, Change.ROLLED, keys)
    return PoolChange(name, Change.LIVE if live else Change.UNCHANGED, keys)


def _differing(old: Struct, new: Struct) -> set[str]:
    return {name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name)}
