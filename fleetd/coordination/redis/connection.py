"""A connection to the Redis of a fleet, whatever stands behind its URL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Sequence
from typing import Any

from msgspec import Struct
from redis.exceptions import NoScriptError

from fleetd.config.redis_url import parse
from fleetd.errors import FleetdError, UnreachableError
from fleetd.redis.masters import Masters
from fleetd.redis.node import MovedError, Node
from fleetd.redis.wire import check_tls

LIMIT = 4.0  # seconds for a call: to find the master, to connect, and to be answered
_HOPS = 3  # nodes of a Cluster that may each name another one


class Script(Struct, frozen=True):
    """A Lua script and its SHA1, by which a server that has run it knows it."""

    text: str
    sha: str


class Connection:
    """Runs scripts and commands, one at a time; tries nothing twice that may have been done.

    The constructor raises UsageError for a URL that makes no sense, or whose files cannot be read.  A call raises
    UnreachableError within LIMIT when there is no answer, and FleetdError when it makes no sense, never with a user or
    password in the text.  The next call looks for the master anew.
    """

    def __init__(self, url: str) -> None:
        self._url = parse(url)
        check_tls(self._url)
        self._masters = Masters(self._url)
        self._turn = asyncio.Lock()
        self._node: Node | None = None
        self._ears: set[Node] = set()
        self._is_closed = False

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Any:
        """The script's answer, with texts as bytes."""
        rest = (len(keys), *keys, *arguments)
        with self._told():
            async with asyncio.timeout(LIMIT), self._turn:
                try:
                    return await self._ask("EVALSHA", script.sha, *rest)
                except NoScriptError:
                    return await self._ask("EVAL", script.text, *rest)

    async def command(self, *words: str | bytes | int) -> Any:
        """The answer to a plain command on keys of one fleet, as RESP2 has it: a hash is a flat list."""
        with self._told():
            async with asyncio.timeout(LIMIT), self._turn:
                return await self._ask(*words)

    async def hints(self, channel: str) -> AsyncIterator[str]:
        """What is published on a channel, by a connection of its own; ends when that does or cannot be made."""
        node: Node | None = None
        try:
            async with asyncio.timeout(LIMIT):
                # Beside the commands' connection, so that both are moved together.
                known = self._node if self._node is not None and self._node.is_open else None
                node = await (self._masters.open() if known is None else self._masters.open_at(known.place))
                self._ears.add(node)
                await node.ask("SUBSCRIBE", channel)
            while True:
                yield (await node.heard()).decode(errors="replace")
        except (FleetdError, TimeoutError):
            return
        finally:
            if node is not None:
                self._ears.discard(node)
                await node.close()

    async def close(self) -> None:
        """Close what is open; calls that wait fail."""
        self._is_closed = True
        for node in [self._node, *self._ears]:
            if node is not None:
                await node.close()

    async def _ask(self, *words: str | bytes | int) -> Any:
        for _ in range(_HOPS):
            node = self._node
            if node is None or not node.is_open:
                if node is not None:
                    node.abort()  # ended by the server meanwhile
                node = self._use(await self._masters.open())
            try:
                return await node.ask(*words)
            except MovedError as moved:
                node.abort()
                self._use(await self._masters.open_at(moved.place))
        raise UnreachableError("the nodes of the Cluster do not agree on who has the fleet's keys")

    def _use(self, node: Node) -> Node:
        if self._is_closed:
            node.abort()
            raise UnreachableError("the connection was closed")
        self._node = node
        for ear in self._ears:
            if ear.place != node.place:
                ear.cut()  # at a server that may no longer hear what is published; its reader ends
        return node

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        """Errors say which Redis is meant."""
        try:
            yield
        except TimeoutError:
            raise UnreachableError(f"{self._url}: no answer within {LIMIT:g} s") from None
        except FleetdError as error:
            raise type(error)(f"{self._url}: {error}") from None
