"""Finding the server that takes a fleet's writes: the one of the URL, the Sentinels' master, a node of the Cluster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from fleetd.config.redis_url import Endpoint, Kind, Place, RedisUrl
from fleetd.errors import FleetdError, UnreachableError
from fleetd.redis.failures import ACL_HINT
from fleetd.redis.node import Node

_STAGGER = 0.25  # seconds until the next one is asked, too
_SHOWN = 3  # failures told of
_KEPT = 32  # nodes of a Cluster that are remembered beside those of the URL


class Masters:
    """Knows where to ask.  Nothing is cached but the names of a Cluster's nodes: what was true may have changed.

    `advice` is for a user who lacks a permission.
    """

    def __init__(self, url: RedisUrl, advice: str = ACL_HINT) -> None:
        self._url = url
        self._advice = advice
        self._nodes: tuple[Place, ...] = url.seeds

    async def open(self) -> Node:
        """A connection to the master; in a Cluster, to any node, whose MOVED tells the rest."""
        match self._url.kind:
            case Kind.SENTINEL:
                return await first(self._attempts(self._by_sentinel, self._url.seeds))
            case Kind.CLUSTER:
                return await first(self._attempts(self._by_node, self._nodes))
            case Kind.SERVER | Kind.SOCKET:
                return await self.open_at(self._url.seeds[0])

    async def open_at(self, place: Place) -> Node:
        """A connection to just this one."""
        return await Node.open(self._url, place, advice=self._advice)

    def _attempts(
        self, attempt: Callable[[Place], Awaitable[Node]], places: Sequence[Place]
    ) -> list[Callable[[], Awaitable[Node]]]:
        return [partial(attempt, place) for place in random.sample(places, len(places))]

    async def _by_sentinel(self, sentinel: Place) -> Node:
        asked = await Node.open(self._url, sentinel, sentinel=True)
        try:
            answer = await asked.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.service)
        except UnreachableError:
            raise
        except FleetdError:  # knows no such command
            raise UnreachableError(f"{sentinel}: is no Sentinel") from None
        finally:
            asked.abort()
        if answer is None:
            raise UnreachableError(f"{sentinel}: this Sentinel knows no service {self._url.service!r}")
        master = Endpoint(answer[0].decode(errors="replace"), int(answer[1]))
        node = await self.open_at(master)
        role = await _or_abort(node, node.ask("ROLE"))
        if role[0] != b"master":
            node.abort()
            raise UnreachableError(f"{master}: is no master, though the Sentinel at {sentinel} names it")
        return node

    async def _by_node(self, place: Place) -> Node:
        node = await self.open_at(place)
        try:
            slots = await _or_abort(node, node.ask("CLUSTER", "SLOTS"))
        except UnreachableError:
            raise
        except FleetdError:  # "cluster support disabled"
            raise UnreachableError(f"{place}: is no Cluster: begin the URL with redis://") from None
        others = [found for found in _nodes(slots, place) if found not in self._url.seeds]
        self._nodes = (*self._url.seeds, *others[:_KEPT])
        return node


async def first(attempts: Sequence[Callable[[], Awaitable[Node]]]) -> Node:
    """The first connection that comes about.  The next attempt begins when one failed, or a moment later beside it."""
    waiting = list(reversed(attempts))
    running: set[asyncio.Future[Node]] = set()
    failures: list[str] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop()()))
            patience = _STAGGER if waiting else None
            await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for attempt in [attempt for attempt in running if attempt.done()]:
                running.remove(attempt)
                try:
                    return attempt.result()
                except FleetdError as failure:
                    failures.append(str(failure))
    finally:
        for attempt in running:
            attempt.cancel()
            attempt.add_done_callback(_let_go)
    told = list(dict.fromkeys(failures))
    raise UnreachableError("; ".join(told[:_SHOWN]) + (f"; and {len(told) - _SHOWN} more" if told[_SHOWN:] else ""))


def _let_go(attempt: asyncio.Future[Node]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().abort()


async def _or_abort(node: Node, answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except BaseException:
        node.abort()
        raise


def _nodes(slots: Iterable[Any], asked: Place) -> list[Place]:
    """The nodes in an answer to CLUSTER SLOTS, each once; a node may leave its own host out."""
    own = asked.host if isinstance(asked, Endpoint) else ""
    nodes = (node for _, _, *nodes in slots for node in nodes)
    return list(dict.fromkeys(Endpoint((host or b"").decode() or own, int(port)) for host, port, *_ in nodes))
