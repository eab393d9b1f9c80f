"""What has changed in a host's picture since it was last told: both ends of the control socket's `watch`.

An item of news is {"whole": true} where nothing told before counts, "host" with the fields of the document but its
pools, "order" with the pools' names, and in "pools", by name, the fields that have changed of pools that have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict, replace

from fleetd.views.snapshot import PoolView, Snapshot

_PARTS = tuple(name for name in PoolView.__struct_fields__ if name != "name")


class Teller:
    """The daemon's end: what it has told one client."""

    def __init__(self) -> None:
        self._told: Snapshot | None = None

    def news(self, now: Snapshot) -> dict[str, Any]:
        """What is to be told: values that msgspec encodes; empty where nothing has changed."""
        before, self._told = self._told, now
        known = {} if before is None else {pool.name: pool for pool in before.pools}
        news: dict[str, Any] = {"whole": True} if before is None else {}
        if before is None or replace(before, pools=()) != replace(now, pools=()):
            news["host"] = {name: value for name, value in asdict(now).items() if name != "pools"}
        if list(known) != (order := [pool.name for pool in now.pools]):
            news["order"] = order
        changed = {pool.name: parts for pool in now.pools if (parts := _changed(known.get(pool.name), pool))}
        return news | {"pools": changed} if changed else news


def _changed(before: PoolView | None, now: PoolView) -> dict[str, Any]:
    if before is None:
        return {name: getattr(now, name) for name in _PARTS}
    return {name: value for name in _PARTS if (value := getattr(now, name)) != getattr(before, name)}


class Listener:
    """The client's end: the whole document, of all that it was told."""

    def __init__(self) -> None:
        self.document: Mapping[str, Any] | None = None
        self._pools: dict[str, Mapping[str, Any]] = {}
        self._order: list[str] = []

    def hear(self, news: Mapping[str, Any]) -> Mapping[str, Any]:
        """The document with the news in it; what has not changed is the very same object as before.

        Raises KeyError for news without a beginning.
        """
        if news.get("whole"):
            self.document, self._pools, self._order = None, {}, []
        if not news and self.document is not None:
            return self.document
        self._order = news.get("order", self._order)
        for name, parts in news.get("pools", {}).items():
            self._pools[name] = {**self._pools.get(name, {"name": name}), **parts}
        self._pools = {name: self._pools[name] for name in self._order}
        host = news["host"] if self.document is None else {**self.document, **news.get("host", {})}
        self.document = {**host, "pools": list(self._pools.values())}
        return self.document
