"""Asking a fleet for a restart: what the words of a command mean among the members that live now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar
from uuid import uuid4

from msgspec import Struct

from fleetd.coordination.names import host_of
from fleetd.coordination.port import Coordinator, Intent, Member, Request, Rollout
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount
from fleetd.errors import NotFoundError, UnreachableError, UsageError, WaitTimeoutError

PATIENCE = 8.0  # seconds for what must be answered before there is anything to wait for: a failover takes some
_AGAIN = 0.5  # seconds until what had no answer is tried again
T = TypeVar("T")


class Wish(Struct, frozen=True):
    """A restart as a person asks for it: `targets` are patterns over pools."""

    who: str
    targets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    label: str | None = None
    mode: str = "graceful"
    max_parallel_hosts: Amount | None = None


async def ask(coordinator: Coordinator, wish: Wish) -> Rollout:
    """Begin the rollout that is wished for.

    Raises UsageError for a worker as target, NotFoundError where no live member is meant (nothing is written then), and
    UnreachableError where Redis stays out of reach.
    """
    live = [member for member in await patiently(coordinator.members) if member.is_live]
    if not live:
        raise NotFoundError("the fleet has no live member: nothing was asked for; start a daemon with its [fleet]")
    hosts = known_hosts(wish.hosts, live)
    pools = known_pools(wish.targets, [each for each in live if hosts is None or host_of(each.name) in hosts])
    intent = Intent(who=wish.who, label=wish.label, scope=Scope(hosts, pools), mode=wish.mode)
    count = len({host_of(member.name) for member in live})
    limit = None if wish.max_parallel_hosts is None else max(1, wish.max_parallel_hosts.of(count))
    rollout = await _requested(coordinator, Request(uuid4().hex, intent, limit))
    if rollout is None:
        raise NotFoundError(f"no live member has anything of {intent.scope}: nothing was asked for")
    return rollout


async def _requested(coordinator: Coordinator, request: Request) -> Rollout | None:
    """A request without an answer may have been carried out: it is repeated, which is one request all the same."""
    try:
        return await patiently(lambda: coordinator.request(request))
    except UnreachableError as error:
        raise UnreachableError(f"{error}; the request may have arrived: see `fleetd rollouts`") from None


async def within(limit: float | None, asking: Awaitable[T], seen_by: str) -> T:
    """What was asked for within `limit` seconds; raises WaitTimeoutError, which names the command that shows it."""
    try:
        async with asyncio.timeout(limit):
            return await asking
    except TimeoutError:
        raise WaitTimeoutError(f"no answer after {limit:g} s; the request may have arrived: see `{seen_by}`") from None


async def patiently(step: Callable[[], Awaitable[T]]) -> T:
    """What a step that may be repeated answers; raises its UnreachableError once that has come for PATIENCE."""
    loop = asyncio.get_running_loop()
    last = loop.time() + PATIENCE - _AGAIN
    while True:
        try:
            return await step()
        except UnreachableError:
            if loop.time() > last:
                raise
        await asyncio.sleep(_AGAIN)


def known_hosts(hosts: Sequence[str], members: Iterable[Member]) -> tuple[str, ...] | None:
    """The hosts, each once and sorted; None for all.  Raises NotFoundError for one without a live member."""
    if not hosts:
        return None
    there = {host_of(member.name) for member in members if member.is_live}
    for host in hosts:
        if host not in there:
            raise NotFoundError(f"--host {host}: no live member; there are {_listed(there)}")
    return tuple(sorted(set(hosts)))


def known_pools(
    patterns: Sequence[str], members: Iterable[Member], also: Collection[str] = ()
) -> tuple[str, ...] | None:
    """The pools of live members that the patterns name, or of those in `also`, sorted; None for all.

    Raises NotFoundError for a pattern that names none, UsageError for a worker.
    """
    if not patterns:
        return None
    there = {pool for member in members if member.is_live for pool in member.pools} | set(also)
    found: set[str] = set()
    for pattern in patterns:
        if ":" in pattern:
            raise UsageError(
                f"{pattern} is a worker of one host: give --local on that host, or its pool {pattern.partition(':')[0]}"
            )
        matched = {pool for pool in there if fnmatchcase(pool, pattern)}
        if not matched:
            raise NotFoundError(f"{pattern}: no live member has such a pool; there are {_listed(there)}")
        found |= matched
    return tuple(sorted(found))


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
