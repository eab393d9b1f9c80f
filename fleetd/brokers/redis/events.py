"""Jobs that ended since the last read, from the stream in which a framework tells of them.

Entries cost redis-py's parser time, about 60 us each, during which the whole daemon stands still: they are asked for in
small pages, for a part of each read; a stream that is further behind is caught up with by the reads that follow.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

from fleetd.brokers.redis.counting import Words
from fleetd.core.queues import Ended, EventStream
from fleetd.errors import FleetdError

Ask = Callable[[Iterable[Words]], Awaitable[Mapping[Words, Any]]]

PAGE = 500  # entries of one stream in a round trip, at most
MOST_IN_HAND = 10_000  # jobs of a queue whose start is remembered

_NEWEST = ("+", "-", "COUNT", "1")
_ENOUGH = 0.5  # seconds of a read, after which no further page is asked for
_MOST, _FEWEST = 2000, 16  # entries of all streams in a round trip
_WORTH_ASKING = 20  # entries of a stream in a round trip, if it may be so many


class Events:
    """Where the streams were read up to, and the jobs that had started by then."""

    def __init__(self) -> None:
        self._ends: dict[EventStream, str] = {}  # the last entry's id
        self._started: dict[EventStream, dict[bytes, int]] = {}  # milliseconds since 1970, by job
        self._behind: tuple[EventStream, ...] = ()  # for which there was no time in the last read
        self._at_once = _MOST

    async def read(
        self, streams: Iterable[EventStream], ask: Ask, latest: float
    ) -> Mapping[EventStream, tuple[Ended, ...] | None]:
        """The jobs that ended, as far as it was told by `latest` (of the loop's clock); raises nothing of `ask`'s.

        None: the stream was not read before, or cannot be.
        """
        wanted = dict.fromkeys(streams)
        waiting = deque(sorted(wanted, key=lambda each: each not in self._behind))
        found: dict[EventStream, tuple[Ended, ...] | None] = {
            each: () if each in self._ends else None for each in wanted
        }
        with suppress(FleetdError, TimeoutError):  # this time; the queues' depths are known all the same
            async with asyncio.timeout_at(latest):
                enough = time.monotonic() + _ENOUGH
                while waiting and time.monotonic() < enough:
                    await self._round(waiting, found, ask)
        self._behind = tuple(waiting)
        return found

    async def _round(
        self, waiting: deque[EventStream], found: dict[EventStream, tuple[Ended, ...] | None], ask: Ask
    ) -> None:
        """A page of the first streams that wait; those that have more wait again."""
        at_once, self._at_once = self._at_once, max(_FEWEST, self._at_once // 4)  # pages too large for now do fail
        asked = [waiting[number] for number in range(min(len(waiting), max(1, at_once // _WORTH_ASKING)))]
        count = min(PAGE, at_once // len(asked))
        answers = await ask([self.command(each, count) for each in asked])
        self._at_once = min(_MOST, at_once * 2)
        for each in asked:
            waiting.popleft()
            answer, was_read = answers[self.command(each, count)], each in self._ends
            ended = self.ended(each, answer)
            found[each] = (found[each] or None) if ended is None else (*(found[each] or ()), *ended)
            if was_read and ended is not None and len(answer) == count:
                waiting.append(each)

    def command(self, events: EventStream, count: int = PAGE) -> Words:
        """What to ask: the entries after the last one that was read, or the newest, to begin with."""
        end = self._ends.get(events)
        if end is None:
            return ("XREVRANGE", events.stream, *_NEWEST)
        return ("XRANGE", events.stream, f"({end}", "+", "COUNT", str(count))

    def ended(self, events: EventStream, answer: Any) -> tuple[Ended, ...] | None:
        """The jobs that ended, from the answer; None: the first one, or there is no such stream to be read."""
        if isinstance(answer, ResponseError):
            self._ends.pop(events, None)
            return None
        if events not in self._ends:
            self._ends[events] = answer[0][0].decode() if answer else "0-0"
            return None
        found: list[Ended] = []
        for entry, flat in answer:
            self._ends[events] = entry.decode()
            at = int(entry.partition(b"-")[0])
            ended = self._take(events, at, dict(zip(flat[::2], flat[1::2], strict=True)))
            if ended is not None:
                found.append(ended)
        return tuple(found)

    def _take(self, events: EventStream, at: int, fields: Mapping[bytes, bytes]) -> Ended | None:
        what = fields.get(events.what.encode(), b"").decode(errors="replace")
        job = fields.get(events.job.encode(), b"")
        started = self._started.setdefault(events, {})
        if what in events.started:
            started[job] = at
            while len(started) > MOST_IN_HAND:
                del started[next(iter(started))]
            return None
        if what in events.released:
            started.pop(job, None)
        if what not in (*events.done, *events.failed):
            return None
        since = started.pop(job, None)
        return Ended(what in events.failed, None if since is None else max(0, at - since) / 1000)
