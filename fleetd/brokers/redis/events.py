"""Jobs that ended since the last read, from the stream in which a framework tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

from fleetd.brokers.redis.counting import Words
from fleetd.core.queues import Ended, EventStream

PAGE = 10_000  # entries: what streams are usually cut to
MOST_IN_HAND = 10_000  # jobs of a queue whose start is remembered

_NEWEST = ("+", "-", "COUNT", "1")


class Events:
    """Where the streams were read up to, and the jobs that had started by then."""

    def __init__(self) -> None:
        self._ends: dict[EventStream, str] = {}  # the last entry's id
        self._started: dict[EventStream, dict[bytes, int]] = {}  # milliseconds since 1970, by job

    def command(self, events: EventStream) -> Words:
        """What to ask: the entries after the last one that was read, or the newest, to begin with."""
        end = self._ends.get(events)
        if end is None:
            return ("XREVRANGE", events.stream, *_NEWEST)
        return ("XRANGE", events.stream, f"({end}", "+", "COUNT", str(PAGE))

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
