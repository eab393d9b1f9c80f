"""Pausing on hosts of a fleet: which fields of its `paused` key that means, and when the hosts have done it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import Struct

from fleetd.client.asking import known_hosts, known_pools, patiently
from fleetd.client.contact import Contact
from fleetd.client.verdict import Absences
from fleetd.coordination.names import host_of
from fleetd.coordination.port import Coordinator, Member
from fleetd.core.epochs import EpochKey
from fleetd.errors import FleetdError, NotFoundError, UnreachableError, WaitTimeoutError
from fleetd.views.host_document import HostDocument, read

_EVERY = 1.0  # seconds between two looks
_LONG = 10.0  # seconds after which it is said what is waited for
_TROUBLED = frozenset({"backoff", "given-up"})


class Place(Struct, frozen=True, order=True):
    """A pool on a member."""

    member: str
    pool: str

    def fields(self) -> tuple[str, ...]:
        """The fields that pause it."""
        host = host_of(self.member)
        return str(EpochKey(host=host)), str(EpochKey(self.pool)), str(EpochKey(self.pool, host))

    def __str__(self) -> str:
        return f"{self.pool} on {self.member}"


class Change(Struct, frozen=True):
    """Fields to set or to lift, and the places that are meant, those first that another field keeps paused."""

    fields: tuple[str, ...]
    places: tuple[Place, ...]
    kept: tuple[tuple[Place, str], ...] = ()


async def pause(coordinator: Coordinator, hosts: Sequence[str], targets: Sequence[str]) -> Change:
    """Pause pools on hosts, all where none are named.  Raises as `known_hosts` and `known_pools` do."""
    live = [member for member in await patiently(coordinator.members) if member.is_live]
    if not live:
        raise NotFoundError("the fleet has no live member: nothing was paused")
    wanted = known_hosts(hosts, live)
    meant = [member for member in live if wanted is None or host_of(member.name) in wanted]
    pools = known_pools(targets, meant)
    places = _places(meant, pools)
    if wanted is None:
        fields: Iterable[str] = (str(EpochKey(place.pool)) for place in places)
    elif pools is None:
        fields = (str(EpochKey(host=host)) for host in wanted)
    else:
        fields = (place.fields()[-1] for place in places)
    change = Change(tuple(sorted(set(fields))), places)
    await patiently(lambda: coordinator.pause(change.fields, paused=True))
    return change


async def resume(coordinator: Coordinator, hosts: Sequence[str], targets: Sequence[str]) -> Change:
    """Lift the pauses of pools on hosts; those that are set also where no member is live or has the pool any more.

    Raises as `pause` does.
    """
    live = [member for member in await patiently(coordinator.members) if member.is_live]
    paused = await patiently(coordinator.paused)
    gone = {host for host in hosts if any(_is_of_host(field, host) for field in paused)}
    wanted = known_hosts([host for host in hosts if host not in gone], live) or ()
    hosts_meant = {*wanted, *gone}
    meant = [member for member in live if not hosts or host_of(member.name) in hosts_meant]
    if hosts:
        there = {field for field in paused if any(_is_of_host(field, host) for host in hosts_meant)}
    else:
        there = {field for field in paused if field.startswith("pool:")}
    pools = known_pools(targets, meant, {pool for field in there if (pool := EpochKey.parse(field).pool) is not None})
    places = _places(meant, pools)
    fields = there if pools is None else {field for field in there if EpochKey.parse(field).pool in pools}
    lifted = tuple(sorted(fields))
    await patiently(lambda: coordinator.pause(lifted, paused=False))
    rest = paused - fields
    kept = tuple((place, field) for place in places for field in place.fields() if field in rest)
    return Change(lifted, places, kept)


def _is_of_host(field: str, host: str) -> bool:
    return field == f"host:{host}" or field.startswith(f"host:{host}:")


def _places(members: Iterable[Member], pools: Collection[str] | None) -> tuple[Place, ...]:
    return tuple(
        sorted(Place(each.name, pool) for each in members for pool in each.pools if pools is None or pool in pools)
    )


def pending(places: Iterable[Place], members: Iterable[Member], *, paused: bool) -> list[Place]:
    """The places whose hosts do not show yet that they are paused, or run.

    Raises FleetdError for one that goes on, but whose workers fail.
    """
    there = {member.name: read(member.status) for member in members if member.is_live}
    return [place for place in places if not _is_so(place, there.get(place.member), paused=paused)]


def _is_so(place: Place, document: HostDocument | None, *, paused: bool) -> bool:
    if document is None:
        return False
    pool = next((pool for pool in document.pools if pool.name == place.pool), None)
    if pool is None:  # removed there meanwhile
        return True
    if pool.paused is not paused:
        return False
    if paused:  # workers that cannot pause are drained
        return all(worker.state != "stopping" for worker in pool.workers)
    failing = [worker for worker in pool.workers if worker.state in _TROUBLED]
    if failing:
        raise FleetdError(f"{place} goes on, but is not healthy: {failing[0].name}: {failing[0].state}")
    return pool.state != "degraded"


async def until(
    coordinator: Coordinator,
    places: Sequence[Place],
    *,
    paused: bool,
    limit: float | None,
    began: float | None = None,
    look: Callable[[list[Place]], None],
    tell: Callable[[str], None],
) -> None:
    """Wait until all hosts show it, or `limit` seconds since `began`, on the loop's clock (None: now).

    `look` is given what is pending, `tell` what a person should know.

    Raises FleetdError for a host that went missing, WaitTimeoutError, and UnreachableError after a minute without
    any answer.
    """
    first, absences, contact = _now(), Absences(), Contact(tell)
    deadline = None if limit is None else (first if began is None else began) + limit
    left, told = list(places), False
    while left:
        try:
            async with asyncio.timeout_at(deadline):
                members = await coordinator.members()
        except TimeoutError:
            pass
        except UnreachableError as error:
            absences.forget()
            if contact.failed(_now()):
                raise UnreachableError(f"{error}; gave up waiting, the hosts go on") from None
        else:
            contact.answered()
            left = pending(places, members, paused=paused)
            look(left)
            if left and not told and _now() - first >= _LONG:
                told = True
                tell(_waiting(left, paused=paused))
            absences.look({place.member for place in left}, {each.name for each in members if each.is_live}, _now())
        missing = absences.missing(_now())
        if left and missing >= {place.member for place in left}:
            raise FleetdError(f"{', '.join(sorted(missing))} went missing and did not come back")
        if left and deadline is not None and _now() >= deadline:
            waiting = ", ".join(map(str, left))
            raise WaitTimeoutError(f"not finished after {limit:g} s; the work itself goes on: {waiting}")
        if left:
            await asyncio.sleep(_EVERY if deadline is None else min(_EVERY, max(0.0, deadline - _now())))


def _waiting(left: Sequence[Place], *, paused: bool) -> str:
    hint = "" if paused else "; a pause given on the host itself is lifted there, by `fleetd resume`"
    return f"waiting for {', '.join(map(str, left))}{hint}"


def _now() -> float:
    return asyncio.get_running_loop().time()
