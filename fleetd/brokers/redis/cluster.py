"""The nodes of a Cluster, each asked for the keys that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from redis.crc import key_slot
from redis.exceptions import ResponseError

from fleetd.brokers.redis.counting import Words
from fleetd.brokers.redis.servers import ADVICE, Clock, told
from fleetd.config.redis_url import Endpoint, Place, RedisUrl
from fleetd.errors import UnreachableError
from fleetd.redis.failures import asked_at, moved_to
from fleetd.redis.masters import Masters
from fleetd.redis.node import Node

_HOPS = 4  # rounds in which nodes may name another one
_KEY = {"EVAL": 3, "EVALSHA": 3, "EVAL_RO": 3, "EVALSHA_RO": 3}  # where the key stands, if it is not the second word


class Cluster:
    """Knows who has which slot until a node says otherwise or cannot be asked; see Servers."""

    def __init__(self, url: RedisUrl) -> None:
        self._masters = Masters(url, ADVICE)
        self._owners: dict[int, Place] = {}  # by slot
        self._nodes: dict[Place, Node] = {}
        self._clock = Clock()
        self._is_closed = False

    @property
    def is_kept(self) -> bool:
        """See Servers."""
        return bool(self._owners)

    async def now(self) -> float:
        """See Servers: nodes are expected to agree."""
        if not self._clock.is_known:
            node = await self._any()
            told(self._clock, node, await node.ask_all([("TIME",)]))
        return self._clock.now()

    async def ask(self, commands: Collection[Words]) -> Mapping[Words, Any]:
        """See Servers: the nodes are asked at the same time."""
        try:
            if not self._owners:
                self._owners = await self._learn()
            return await self._ask(commands)
        except UnreachableError:
            self._forget()
            raise

    def refusal(self, error: ResponseError) -> Exception:
        """See Servers."""
        return next(iter(self._nodes.values())).refusal(error)

    async def close(self) -> None:
        """See Servers."""
        self._is_closed = True
        for node in self._nodes.values():
            await node.close()

    async def _ask(self, commands: Collection[Words]) -> dict[Words, Any]:
        answers: dict[Words, Any] = {}
        owners = {words: self._owner(words) for words in commands}
        asking: set[Words] = set()
        for _ in range(_HOPS):
            found = await self._round(owners, asking)
            answers |= found
            elsewhere = {words: place for words in found if (place := _named(found[words], owners[words])) is not None}
            if not elsewhere:
                return answers
            asking = {words for words in elsewhere if asked_at(found[words]) is not None}
            self._owners |= {_slot(words): place for words, place in elsewhere.items() if words not in asking}
            owners = elsewhere
        raise UnreachableError("the nodes of the Cluster do not agree on who has the queues' keys")

    async def _round(self, owners: Mapping[Words, Place], asking: Collection[Words]) -> dict[Words, Any]:
        """One round trip for each node."""
        by_place: dict[Place, list[Words]] = {}
        for words, place in owners.items():
            by_place.setdefault(place, []).append(words)
        rounds = (self._at(place, commands, asking) for place, commands in by_place.items())
        answers: dict[Words, Any] = {}
        for result in await asyncio.gather(*rounds, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            answers |= result
        return answers

    async def _at(self, place: Place, commands: Sequence[Words], asking: Collection[Words]) -> dict[Words, Any]:
        node = await self._node(place)
        sent: list[Words] = [("TIME",)]
        for words in commands:
            sent += [("ASKING",), words] if words in asking else [words]
        answers = await node.ask_all(sent)
        told(self._clock, node, answers)
        return {words: answer for words, answer in zip(sent, answers, strict=True) if len(words) > 1}

    async def _node(self, place: Place) -> Node:
        node = self._nodes.get(place)
        return node if node is not None and node.is_open else self._use(await self._masters.open_at(place))

    async def _any(self) -> Node:
        kept = next((node for node in self._nodes.values() if node.is_open), None)
        return kept or self._use(await self._masters.open())

    def _use(self, node: Node) -> Node:
        if self._is_closed:
            node.abort()
            raise UnreachableError("the connection was closed")
        earlier = self._nodes.pop(node.place, None)
        if earlier is not None:
            earlier.abort()
        self._nodes[node.place] = node
        return node

    async def _learn(self) -> dict[int, Place]:
        node = await self._any()
        [slots] = await node.ask_all([("CLUSTER", "SLOTS")])
        if isinstance(slots, ResponseError):
            raise node.refusal(slots)
        return _owners(slots, node.place)

    def _owner(self, words: Words) -> Place:
        owner = self._owners.get(_slot(words))
        if owner is None:
            raise UnreachableError(f"no node of the Cluster has the slot of {_key(words)}")
        return owner

    def _forget(self) -> None:
        for node in self._nodes.values():
            node.abort()
        self._nodes.clear()
        self._owners.clear()


def _key(words: Words) -> str:
    return words[_KEY.get(words[0], 1)]


def _slot(words: Words) -> int:
    return key_slot(_key(words).encode())


def _owners(slots: Iterable[Any], asked: Place) -> dict[int, Place]:
    """The masters in an answer to CLUSTER SLOTS; a node may leave its own host out."""
    own = asked.host if isinstance(asked, Endpoint) else ""
    owners: dict[int, Place] = {}
    for first, last, (host, port, *_), *_ in slots:
        master = Endpoint((host or b"").decode() or own, int(port))
        owners |= dict.fromkeys(range(int(first), int(last) + 1), master)
    return owners


def _named(answer: Any, asked: Place) -> Place | None:
    """The node that another one sends us to."""
    named = (moved_to(answer) or asked_at(answer)) if isinstance(answer, ResponseError) else None
    if named is None:
        return None
    return Endpoint(named[0] or (asked.host if isinstance(asked, Endpoint) else ""), named[1])
