"""What all members of a fleet share, in the memory of one process: the part of a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from msgspec import Struct

from fleetd.coordination.kept import KeptRollout
from fleetd.coordination.local_incidents import Entry
from fleetd.coordination.names import host_of
from fleetd.coordination.port import KEPT_EVENTS, KEPT_MINUTES, KEPT_ROLLOUTS, Beat, Row
from fleetd.core.epochs import read
from fleetd.core.minutes import minute_of
from fleetd.core.spec import Amount


class Enrolled(Struct):
    """A member: until when it is believed, and what it said of itself."""

    id: str
    lease_end: float
    pools: tuple[str, ...]
    version: str
    max_parallel_hosts: Amount
    status: bytes | None
    epoch: int  # the greatest that it believes


class LocalFleet:
    """What all members of one fleet share; `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.listeners: set[asyncio.Queue[str | None]] = set()
        self.flush()

    def flush(self) -> None:
        """Forget everything, as a database that is emptied does."""
        self.incarnation = ""
        self.members: dict[str, Enrolled] = {}
        self.epochs: dict[str, str] = {}  # by the EpochKey's text; raw, since anyone may write there
        self.last: str | None = None  # the greatest number that was given out
        self.kept: dict[int, KeptRollout] = {}
        self.turns: dict[str, float] = {}
        self.paused: set[str] = set()
        self.requests: dict[str, tuple[int, float]] = {}
        self.events: list[tuple[tuple[int, int], bytes]] = []
        self.minutes: dict[int, dict[tuple[str, str, str, str | None], Row]] = {}  # by member, life, pool and queue

        self.incidents: dict[str, Entry] = {}

    def live(self, now: float) -> dict[str, Enrolled]:
        """The members whose lease has not ended."""
        return {name: member for name, member in self.members.items() if member.lease_end > now}

    def strictest(self, now: float) -> int:
        """The least that a live member allows of hosts that roll at the same time."""
        live = self.live(now)
        hosts = len(set(map(host_of, live)))
        return max(1, min((member.max_parallel_hosts.of(hosts) for member in live.values()), default=1))

    def raise_epoch(self, key: str, value: int, now: float) -> None:
        """Set a key that is missing or lower; one that is not sane is left for its operator to see."""
        self.epochs[key] = raised(self.epochs.get(key), value, now)

    def keep(self, rollout: KeptRollout) -> None:
        """Keep a new rollout, and no more than the last ones."""
        self.kept[rollout.epoch] = rollout
        for epoch in sorted(self.kept)[:-KEPT_ROLLOUTS]:
            del self.kept[epoch]

    def add_events(self, documents: Iterable[bytes], now: float) -> None:
        """Append to the stream; a position is greater than all before."""
        for document in documents:
            position = (int(now * 1000), 0)
            if self.events and self.events[-1][0] >= position:
                milliseconds, number = self.events[-1][0]
                position = (milliseconds, number + 1)
            self.events.append((position, document))
        del self.events[:-KEPT_EVENTS]

    def note_minutes(self, beat: Beat, now: float) -> None:
        """Take the rows of a beat in the place of those that its process told before."""
        for minute, rows in beat.minutes.items():
            kept = self.minutes.setdefault(minute, {})
            kept.update({(beat.member, beat.life, row.pool, row.queue): row for row in rows})
        for minute in [each for each in self.minutes if each <= minute_of(now) - KEPT_MINUTES]:
            del self.minutes[minute]

    def wake(self, hint: str) -> None:
        """Tell everyone who listens."""
        for listener in self.listeners:
            listener.put_nowait(hint)


def raised(raw: str | None, value: int, now: float) -> str:
    """The value that a key has after one that is greater was to be set: as it is where it is not sane, or not lower."""
    if raw is None:
        return str(value)
    stored = read(raw, now)
    return raw if stored is None or stored >= value else str(value)
