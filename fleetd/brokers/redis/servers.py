"""Commands to whoever has the keys: all at once, one round trip for each server."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from redis.exceptions import ResponseError

from fleetd.brokers.redis.counting import Words
from fleetd.config.redis_url import Kind, RedisUrl
from fleetd.errors import UnreachableError
from fleetd.redis.masters import Masters
from fleetd.redis.node import Node

ADVICE = "give it what docs/redis.md lists for reading queues"


class Servers(Protocol):
    """Connections are kept between two calls, and opened when needed.

    Calls raise UnreachableError and FleetdError; the next one starts anew.
    """

    @property
    def is_kept(self) -> bool:
        """Whether there are connections from earlier, which may have ended unnoticed."""
        ...

    async def now(self) -> float:
        """Unix seconds by the clock of the server, or of one of them."""
        ...

    async def ask(self, commands: Collection[Words]) -> Mapping[Words, Any]:
        """The answer to each command on one key; of one that was refused, its ResponseError."""
        ...

    def refusal(self, error: ResponseError) -> Exception:
        """What to raise for such an answer."""
        ...

    async def close(self) -> None:
        """Close what is open; calls that wait fail, and so do later ones."""
        ...


class Clock:
    """A server's clock; between two of its answers, which are seconds apart, this host's goes on for it."""

    def __init__(self) -> None:
        self._ahead: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the server has told the time yet."""
        return self._ahead is not None

    def set(self, answer: Any) -> None:
        """By an answer to TIME that has just come."""
        seconds, microseconds = answer
        self._ahead = int(seconds) + int(microseconds) / 1e6 - time.monotonic()

    def now(self) -> float:
        """Unix seconds."""
        assert self._ahead is not None
        return time.monotonic() + self._ahead


class OneServer:
    """The server of the URL, or the master that the Sentinels name."""

    def __init__(self, url: RedisUrl) -> None:
        self._is_watched = url.kind is Kind.SENTINEL
        self._masters = Masters(url, ADVICE)
        self._clock = Clock()
        self._node: Node | None = None
        self._is_closed = False

    @property
    def is_kept(self) -> bool:
        """See Servers."""
        return self._node is not None and self._node.is_open

    async def now(self) -> float:
        """See Servers."""
        node = await self._opened()
        if not self._clock.is_known:
            told(self._clock, node, await node.ask_all([("TIME",)]))
        return self._clock.now()

    async def ask(self, commands: Collection[Words]) -> Mapping[Words, Any]:
        """See Servers.  One who is no master any more is left: it may have the queues of a moment ago for ever."""
        node = await self._opened()
        first: list[Words] = [("TIME",), ("ROLE",)] if self._is_watched else [("TIME",)]
        answers = await node.ask_all([*first, *commands])
        told(self._clock, node, answers)
        if self._is_watched:
            _check_is_master(node, answers[1])
        return dict(zip(commands, answers[len(first) :], strict=True))

    def refusal(self, error: ResponseError) -> Exception:
        """See Servers."""
        assert self._node is not None
        return self._node.refusal(error)

    async def close(self) -> None:
        """See Servers."""
        self._is_closed = True
        if self._node is not None:
            await self._node.close()

    async def _opened(self) -> Node:
        node = self._node
        if node is None or not node.is_open:
            if node is not None:
                node.abort()  # ended by the server meanwhile
            node = await self._masters.open()
            if self._is_closed:
                node.abort()
        if self._is_closed:
            raise UnreachableError("the connection was closed")
        self._node = node
        return node


def told(clock: Clock, node: Node, answers: list[Any]) -> None:
    """Set the clock by the first answer, which is that to TIME."""
    if isinstance(answers[0], ResponseError):
        raise node.refusal(answers[0])
    clock.set(answers[0])


def _check_is_master(node: Node, role: Any) -> None:
    if isinstance(role, ResponseError):
        raise node.refusal(role)
    if role[0] != b"master":
        node.abort()
        raise UnreachableError(f"{node.place}: is no master any more")
