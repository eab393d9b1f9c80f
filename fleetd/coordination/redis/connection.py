"""A connection to the Redis of a fleet, whatever stands behind its URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import redis.asyncio as aioredis
from msgspec import Struct
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from fleetd.errors import UnreachableError

PATIENCE = 2.0  # seconds for a connection, and for an answer


class Script(Struct, frozen=True):
    """A Lua script and its SHA1, by which a server that has run it knows it."""

    text: str
    sha: str


class Connection:
    """Runs scripts and commands; tries nothing twice.  Raises UnreachableError, never with a password in its text."""

    def __init__(self, url: str) -> None:
        self._client = aioredis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        )

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Any:
        """The script's answer, with texts as bytes."""
        try:
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *keys, *arguments)
        except (RedisError, OSError) as error:
            raise UnreachableError(f"Redis: {error}") from error

    async def command(self, *words: str | bytes | int) -> Any:
        """The answer to a plain command on keys of one fleet."""
        try:
            return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise UnreachableError(f"Redis: {error}") from error

    async def hints(self, channel: str) -> AsyncIterator[str]:
        """What is published on a channel; ends when the connection does."""
        async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(channel)
            async for message in pubsub.listen():
                yield message["data"].decode(errors="replace")

    async def close(self) -> None:
        """Close what is open."""
        await self._client.aclose()
