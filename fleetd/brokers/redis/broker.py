"""The Broker port on Redis and Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from redis.exceptions import ResponseError

from fleetd.brokers.redis.cluster import Cluster
from fleetd.brokers.redis.counting import Types, Words, commands, depth
from fleetd.brokers.redis.events import Events
from fleetd.brokers.redis.oldest import Oldest, oldest_at
from fleetd.brokers.redis.servers import OneServer, Servers
from fleetd.config.redis_url import Kind, parse
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.errors import FleetdError, UnreachableError
from fleetd.redis.failures import moved_to
from fleetd.redis.wire import check_tls

LIMIT = 4.0  # seconds for a read: to find the servers, to connect, and to be answered
_AT_ONCE = 1.0  # seconds within which a connection that has ended shows it


class RedisBroker:
    """One round trip for each server that has a queue.

    A second one only where a key is of another type than expected; and after them those for streams that tell of jobs.

    The constructor raises UsageError for a URL that makes no sense, or whose files cannot be read.
    """

    def __init__(self, url: str) -> None:
        self._url = parse(url)
        check_tls(self._url)
        self._servers: Servers = Cluster(self._url) if self._url.kind is Kind.CLUSTER else OneServer(self._url)
        self._turn = asyncio.Lock()
        self._types = Types()
        self._oldest = Oldest()
        self._events = Events()

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        """See the port: what is not there is empty, for Redis keeps no empty keys."""
        if not places:
            return {}
        with self._told():
            async with asyncio.timeout(LIMIT) as limit, self._turn:
                depths = await self._depths(places)
                latest = limit.when()
                assert latest is not None
                limit.reschedule(None)  # what is known by now is told in any case
                return await self._with_ended(depths, latest)

    async def close(self) -> None:
        """See the port."""
        await self._servers.close()

    async def _depths(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        was_kept, began = self._servers.is_kept, time.monotonic()
        try:
            return await self._read(places)
        except UnreachableError:
            has_ended = was_kept and not self._servers.is_kept and time.monotonic() - began < _AT_ONCE
            if not has_ended:
                raise
        return await self._read(places)  # since a connection from earlier had ended unnoticed

    async def _with_ended(self, depths: Mapping[Place, Depth], latest: float) -> Mapping[Place, Depth]:
        streams = {place: place.events for place in depths if place.events is not None}
        if not streams:
            return depths
        ended = await self._events.read(streams.values(), self._ask, latest)
        return {
            place: replace(found, ended=ended[streams[place]]) if place in streams else found
            for place, found in depths.items()
        }

    async def _read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        self._types.keep(places)
        self._oldest.begin()
        now = await self._servers.now()
        asked = {place: self._oldest.command(place) for place in places}
        counts = [words for place in places for words in commands(place, self._types, now)]
        answers = await self._ask([*counts, *filter(None, asked.values())])
        refused: Mapping[str, Exception] = {}
        if wrong := {words[1] for words in counts if _is_wrong_type(answers[words])}:
            refused = await self._learn_types(wrong)
            counts = [words for place in places for words in commands(place, self._types, now)]
            answers |= await self._ask(words for words in counts if _is_wrong_type(answers.get(words, _WRONG)))
        failed = self._failed(asked, now, answers, refused)
        if len(failed) == len(asked):
            raise next(iter(failed.values()))
        while self._oldest.should_repeat([answers[words] for words in asked.values() if words is not None]):
            asked = {place: self._oldest.command(place, by_text=True) for place in places}
            answers |= await self._ask(filter(None, asked.values()))
        times = {place: None if words is None else oldest_at(place, answers[words]) for place, words in asked.items()}
        return {
            place: UNKNOWN
            if place in failed
            else replace(depth(place, self._types, now, answers), oldest_at=times[place])
            for place in places
        }

    async def _learn_types(self, keys: Iterable[str]) -> Mapping[str, Exception]:
        """Why keys cannot be counted, where that is so."""
        refused: dict[str, Exception] = {}
        for (_, key), answer in (await self._ask(("TYPE", key) for key in keys)).items():
            try:
                if isinstance(answer, ResponseError):
                    raise self._servers.refusal(answer)
                self._types.saw(key, answer)
            except FleetdError as error:
                refused[key] = error
        return refused

    def _failed(
        self, places: Iterable[Place], now: float, answers: Mapping[Words, Any], refused: Mapping[str, Exception]
    ) -> Mapping[Place, Exception]:
        """The queues that alone cannot be read, and why.  Raises what is wrong with the URL."""
        failed: dict[Place, Exception] = {}
        for place in places:
            for words in commands(place, self._types, now):
                answer = answers[words]
                if isinstance(answer, ResponseError):
                    error = refused.get(words[1]) or self._servers.refusal(answer)
                    if moved_to(answer) is not None:
                        raise error
                    failed.setdefault(place, error)
        return failed

    async def _ask(self, commands: Iterable[Words]) -> dict[Words, Any]:
        return dict(await self._servers.ask(dict.fromkeys(commands)))

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        """Errors say which Redis is meant."""
        try:
            yield
        except TimeoutError:
            raise UnreachableError(f"{self._url}: no answer within {LIMIT:g} s") from None
        except FleetdError as error:
            raise type(error)(f"{self._url}: {error}") from None


_WRONG = ResponseError("WRONGTYPE")


def _is_wrong_type(answer: Any) -> bool:
    return isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE")
