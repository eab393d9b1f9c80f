"""Only the pools and workers that TARGETs name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from msgspec.structs import replace

from fleetd.core.events import Target
from fleetd.core.targets import resolve
from fleetd.errors import NotFoundError
from fleetd.views.host_document import read
from fleetd.views.picture import Document, Picture


def narrowed(picture: Picture, targets: Sequence[str]) -> Picture:
    """The picture with only what the targets name on each host; hosts without any of it, and unreadable ones, go."""
    if not targets:
        return picture
    hosts = (_narrowed(document, targets) for document in picture.hosts)
    return replace(picture, hosts=tuple(host for host in hosts if host is not None))


def concerns(event: Document, targets: Sequence[str]) -> bool:
    """Whether an event or an incident is of what the targets name, or of no pool at all."""
    pool, worker = event.get("pool"), event.get("worker")
    if not targets or not isinstance(pool, str) or not pool:
        return True
    if worker and isinstance(worker, str):
        return any(fnmatchcase(name, target) for name in (pool, worker) for target in targets)
    return any(fnmatchcase(pool, target.partition(":")[0]) for target in targets)


def _narrowed(document: Document, targets: Sequence[str]) -> Document | None:
    there = read(document)
    if there is None:
        return None
    slots = {
        pool.name: [slot for each in pool.workers if (slot := _slot(each.name)) is not None] for pool in there.pools
    }
    wanted: set[Target] = set()
    for target in targets:
        try:
            wanted |= set(resolve([target], slots))
        except NotFoundError:  # it is on another host
            continue
    pools = [shown for pool in document["pools"] if (shown := _pool(pool, wanted)) is not None]
    return {**document, "pools": pools, **_incidents(document, targets)} if pools else None


def _incidents(document: Document, targets: Sequence[str]) -> Mapping[str, Any]:
    """Those of what the targets name; whether they can be read at all is seen later."""
    there = document.get("incidents")
    if not isinstance(there, (list, tuple)):
        return {}
    return {"incidents": [each for each in there if not isinstance(each, Mapping) or concerns(each, targets)]}


def _pool(pool: Mapping[str, Any], wanted: set[Target]) -> Mapping[str, Any] | None:
    name = pool["name"]
    if Target(name) in wanted:
        return pool
    there = pool.get("workers", ())
    workers = [each for each in there if Target(name, _slot(each["name"])) in wanted]
    return {**pool, "workers": workers, "cut": len(workers) < len(there)} if workers else None


def _slot(worker: str) -> int | None:
    digits = worker.partition(":")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None  # noqa: PLR2004 - digits that a slot has
