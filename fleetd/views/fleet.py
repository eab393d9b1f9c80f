"""All hosts of a fleet as one picture: the document of `status --fleet --json`, its table, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec.structs import replace

from fleetd.core.events import Target
from fleetd.core.targets import resolve
from fleetd.views.control_characters import made_visible
from fleetd.views.host_document import HostDocument, PoolThere, read
from fleetd.views.snapshot import SCHEMA
from fleetd.views.status_table import Row, Tone, span

HEADER = ("MEMBER", "STATE", "SEEN", "EPOCH", "WORKERS", "POOLS")
RIGHT = frozenset({2, 3, 4})
_TONES: Mapping[str, Tone] = {
    "running": Tone.GOOD,
    "stopping": Tone.BUSY,
    "paused": Tone.BUSY,
    "degraded": Tone.WORRYING,
    "gone": Tone.BAD,
}
_LONGEST_SLOT = 10  # digits
_IN_TROUBLE = frozenset({"backoff", "given-up"})


class Published(Protocol):
    """A member and what it published."""

    @property
    def name(self) -> str:
        """HOST/INSTANCE"""
        ...

    @property
    def last_seen(self) -> float:
        """Unix seconds."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether its lease goes on."""
        ...

    @property
    def status(self) -> Mapping[str, Any] | None:
        """Its document."""
        ...


class Narrowing:
    """What TARGETs, patterns over pools and workers, leave of a fleet.

    Raises NotFoundError for a target that names nothing on any live member.
    """

    def __init__(self, targets: Sequence[str], members: Iterable[Published]) -> None:
        self.is_narrow = bool(targets)
        self._wanted: frozenset[Target] = frozenset()
        if targets:
            there: dict[str, set[int]] = {}
            for member in members:
                for pool, slots in _slots(member):
                    there.setdefault(pool, set()).update(slots)
            self._wanted = frozenset(resolve(targets, there))

    def pools(self, pools: Iterable[PoolThere]) -> Iterator[PoolThere]:
        """Those that are meant, with the workers that are."""
        for pool in pools:
            if not self.is_narrow or Target(pool.name) in self._wanted:
                yield pool
            elif any(target.pool == pool.name for target in self._wanted):
                yield replace(pool, workers=tuple(each for each in pool.workers if self._means(each.name)))

    def document(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """A document with only what is meant; it must be one that can be read."""
        if not self.is_narrow:
            return document
        pools: list[Any] = []
        for pool in document.get("pools", ()):
            if Target(pool["name"]) in self._wanted:
                pools.append(pool)
            elif any(target.pool == pool["name"] for target in self._wanted):
                workers = [worker for worker in pool.get("workers", ()) if self._means(worker["name"])]
                pools.append({**pool, "workers": workers})
        return {**document, "pools": pools}

    def _means(self, worker: str) -> bool:
        slot = _slot(worker)
        return slot is not None and Target(worker.partition(":")[0], slot) in self._wanted


def document(fleet: str, members: Sequence[Published], targets: Sequence[str] = ()) -> dict[str, Any]:
    """The merged document: that of each live member, with `last_seen`.  Raises as `Narrowing` does."""
    live = [member for member in members if member.is_live]
    narrowing = Narrowing(targets, live)
    hosts: list[Any] = []
    for member in live:
        if narrowing.is_narrow and read(member.status) is None:
            continue
        shown = narrowing.document(member.status or {})
        if shown.get("pools") or not narrowing.is_narrow:
            hosts.append({**shown, "last_seen": member.last_seen})
    return {"schema": SCHEMA, "fleet": fleet, "epoch": epoch_of(live), "hosts": hosts}


def epoch_of(members: Iterable[Published]) -> int | None:
    """The greatest epoch that a live member knows; None where there never was a request."""
    known = [read(member.status) for member in members if member.is_live]
    epochs = [each.fleet.epoch for each in known if each is not None and each.fleet is not None]
    return max((epoch for epoch in epochs if epoch is not None), default=None)


def rows(members: Sequence[Published], now: float, targets: Sequence[str] = ()) -> list[Row]:
    """A row for each member, live or gone, as of `now` (Unix seconds); all texts are safe for a terminal.

    Raises as `Narrowing` does.
    """
    narrowing = Narrowing(targets, [member for member in members if member.is_live])
    return [row for member in members for row in _rows(member, now, narrowing)]


def _rows(member: Published, now: float, narrowing: Narrowing) -> Iterator[Row]:
    there = read(member.status)
    seen = f"{span(now - member.last_seen)} ago"
    pools = [] if there is None else list(narrowing.pools(there.pools))
    if narrowing.is_narrow and not pools:
        return
    if there is None or not member.is_live:
        state = "unknown" if member.is_live else "gone"
        yield _row((member.name, state, seen, "-", "-", " ".join(pool.name for pool in pools)))
        return
    healthy, wanted = sum(pool.healthy for pool in pools), sum(pool.numprocs for pool in pools)
    told = ", ".join(_pool(pool) for pool in pools)
    yield _row((member.name, _state(there, pools), seen, _epochs(pools), f"{healthy}/{wanted}", told))


def _row(cells: tuple[str, ...]) -> Row:
    return Row(tuple(made_visible(cell) for cell in cells), _TONES.get(cells[1], Tone.PLAIN))


def _state(there: HostDocument, pools: Sequence[PoolThere]) -> str:
    """The host's, or the worst of its pools' where it runs."""
    if there.state != "running":
        return there.state
    states = {pool.state for pool in pools}
    if "degraded" in states:
        return "degraded"
    return "paused" if states == {"paused"} else "running"


def _epochs(pools: Iterable[PoolThere]) -> str:
    """The workers' epoch; two while they are being replaced."""
    epochs = sorted({worker.epoch or 0 for pool in pools for worker in pool.workers if worker.pid is not None})
    shown = ["-" if epoch == 0 else str(epoch) for epoch in epochs]
    return "-" if not shown else shown[0] if len(shown) == 1 else f"{shown[0]}..{shown[-1]}"


def _pool(pool: PoolThere) -> str:
    state = "" if pool.state == "running" else f" {pool.state}"
    return f"{pool.name} {pool.healthy}/{pool.numprocs}{state}"


def problems(members: Sequence[Published], now: float, targets: Sequence[str] = ()) -> list[str]:
    """What an operator should look at, a line each, safe for a terminal.  Raises as `Narrowing` does."""
    narrowing = Narrowing(targets, [member for member in members if member.is_live])
    found = [line for member in members for line in _problems(member, now, narrowing)]
    return [made_visible(line) for line in found]


def _problems(member: Published, now: float, narrowing: Narrowing) -> Iterator[str]:
    there = read(member.status)
    if not member.is_live:
        yield f"{member.name}: gone, last seen {span(now - member.last_seen)} ago"
    elif there is None:
        yield f"{member.name}: has published nothing that can be read; is its fleetd of another version?"
    else:
        for pool in narrowing.pools(there.pools):
            yield from _of_pool(member.name, pool)


def _of_pool(member: str, pool: PoolThere) -> Iterator[str]:
    troubled = [worker for worker in pool.workers if worker.state in _IN_TROUBLE]
    for worker in troubled:
        yield f"{member}: {worker.name}: {worker.state}"
    if pool.state == "degraded" and not troubled:
        yield f"{member}: {pool.name}: {pool.healthy} of {pool.numprocs} workers healthy"


def _slots(member: Published) -> Iterator[tuple[str, set[int]]]:
    there = read(member.status)
    for pool in () if there is None else there.pools:
        slots = (_slot(worker.name) for worker in pool.workers)
        yield pool.name, {slot for slot in slots if slot is not None}


def _slot(worker: str) -> int | None:
    digits = worker.partition(":")[2]
    return int(digits) if digits.isdecimal() and len(digits) < _LONGEST_SLOT else None
