"""The daemon's side of its fleet: a beat every two seconds, or at once when there is something to say.

Each beat says all that there is to say and is answered with all that there is to know; the core makes sense of it.
What fails is told to the core, too, and tried again with the next beat.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from fleetd.config.kinds import HOST_PATTERN
from fleetd.coordination.beats import compose, observed
from fleetd.coordination.cancelling import ended
from fleetd.coordination.opening import open_fleet
from fleetd.coordination.port import Beat, Coordinator, Row
from fleetd.core import fleet, incidents
from fleetd.core.events import Event, FleetLost
from fleetd.core.membership import Membership
from fleetd.core.minutes import minute_of
from fleetd.core.spec import FleetSpec, MemberSpec
from fleetd.core.state import State
from fleetd.errors import FleetdError, UsageError
from fleetd.shell.documents import encode_any
from fleetd.shell.fact_log import FactLog, Told
from fleetd.shell.machine import instance_id
from fleetd.views.snapshot import Identity, Sample, Snapshot

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

EVERY = 2.0  # seconds between beats, give or take JITTER
JITTER = 0.1  # share
SOONEST = 0.1  # seconds between two beats, whatever happens
HINT_SPREAD = 0.2  # seconds over which the members of a fleet answer a hint
FIRST_WITHIN = 1.0  # seconds that a starting daemon waits for the fleet before it starts workers
LEAVE_WITHIN = 1.0  # seconds that an ending daemon waits for the fleet
MEASURED_EVERY = 10.0  # seconds between two measurements of memory and CPU for the published document
EVENTS_A_BEAT, MINUTES_A_BEAT = 100, 10


def join(daemon: Daemon, spec: MemberSpec) -> Heartbeat:
    """Give the daemon its place in the fleet; it is no member before the first beat.

    Raises UsageError for a host name or an address that will not do.
    """
    host = daemon.identity.host
    check_host(host)
    own = instance_id(daemon.places.id_file)
    membership = Membership(spec.fleet, host, f"{host}/{daemon.places.name}", own.machine)
    daemon.state.fleet = membership
    return Heartbeat(daemon, open_fleet(spec.redis, spec.fleet), membership, own.id)


def check_host(host: str) -> None:
    """Raise UsageError for a host name that will not do in a fleet."""
    if re.fullmatch(HOST_PATTERN, host, re.ASCII) is None:
        raise UsageError(f"[fleet] host: this host's name {host!r} cannot be used in a fleet; set host")


class Host(Protocol):
    """What beats: `fleetd.shell.daemon.Daemon`."""

    state: State
    spec: FleetSpec
    facts: FactLog
    identity: Identity

    async def decide_about(self, *events: Event) -> None:
        """Let the core decide about events."""
        ...

    def snapshot(self, pools: frozenset[str] | None = None, samples: Mapping[str, Sample] | None = None) -> Snapshot:
        """The picture of the host, with those measures."""
        ...

    def samples(self, pools: frozenset[str] | None = None) -> Mapping[str, Sample]:
        """Measures of its processes."""
        ...


class Heartbeat:
    """Keeps one daemon in its fleet."""

    def __init__(self, host: Host, coordinator: Coordinator, membership: Membership, own_id: str) -> None:
        self._host = host
        self._coordinator = coordinator
        self._membership = membership
        self._id = own_id
        self._due = asyncio.Event()
        self._events: deque[tuple[int, Told]] = deque(maxlen=1000)
        self._told = 0
        self._published: bytes | None = None  # what the fleet has of this host
        self._samples: tuple[float, Mapping[str, Sample]] = (0.0, {})
        self._life = f"{host.identity.pid}.{host.identity.started_at:.3f}"  # in one process, several in a row
        self._minutes: Mapping[int, tuple[Row, ...]] = {}  # the last that the fleet was told of
        self._said: object = None
        self._tasks: list[asyncio.Task[None]] = []
        host.facts.forward(self._collect)

    async def begin(self) -> None:
        """Beat for the first time, and go on beating; returns when that is answered, or after FIRST_WITHIN seconds."""
        first = asyncio.Event()
        self._tasks = [asyncio.create_task(self._run(first)), asyncio.create_task(self._listen())]
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WITHIN):
                await first.wait()

    def consider(self) -> None:
        """The core has decided something: beat soon if a rollout is concerned."""
        said = self._matters()
        if said != self._said:
            self._said = said
            self._due.set()

    async def close(self) -> None:
        """Beat for the last time and leave the fleet."""
        await self.hold(leave=True)
        await self.disconnect()

    async def hold(self, *, leave: bool = False) -> None:
        """Beat for the last time, until `begin`; the place in the fleet stays as long as the lease, or is left."""
        await ended(self._tasks)
        try:
            async with asyncio.timeout(LEAVE_WITHIN):
                if self._membership.connected:
                    await self._beat()  # the last events
                    if leave:
                        await self._coordinator.leave(self._membership.member, self._id)
        except (TimeoutError, FleetdError):
            pass  # the lease ends by itself
        except Exception as defect:  # noqa: BLE001 - reported, and no reason not to end
            self._report(defect)

    async def disconnect(self) -> None:
        """Close the connection, after `hold`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_WITHIN):
                await self._coordinator.close()

    def _report(self, defect: Exception) -> None:
        report = {"message": "a beat failed unexpectedly", "exception": defect}
        asyncio.get_running_loop().call_exception_handler(report)

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def _run(self, first: asyncio.Event) -> None:
        while True:
            self._due.clear()
            try:
                await self._beat()
            except Exception as defect:  # noqa: BLE001 - reported, and no reason to leave the fleet
                self._report(defect)
            first.set()
            await asyncio.sleep(SOONEST)
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY * random.uniform(1 - JITTER, 1 + JITTER) - SOONEST):  # noqa: S311
                    await self._due.wait()

    async def _listen(self) -> None:
        """Beat when somebody hints that it is worth it; a hint that is missed costs a beat's time."""
        while True:
            async for _ in self._coordinator.hints():
                await asyncio.sleep(random.uniform(0, HINT_SPREAD))  # noqa: S311 - or all hosts would ask at once
                self._due.set()
            await asyncio.sleep(EVERY)

    async def _beat(self) -> None:
        sent = time.monotonic()
        beat, events = self._compose()
        try:
            seen = await self._coordinator.beat(beat)
        except FleetdError as error:
            await self._host.decide_about(FleetLost(str(error)))
            return
        if not seen.held_by_other:
            while self._events and self._events[0][0] <= events:
                self._events.popleft()
            has_forgotten = beat.incarnation not in {"", seen.incarnation}
            self._minutes = {} if has_forgotten else beat.minutes or self._minutes
            self._published = None if seen.needs_status else beat.status or self._published
            if seen.needs_status and self._host.state.spec is not None:
                self._due.set()
        await self._host.decide_about(observed(seen, sent))

    def _compose(self) -> tuple[Beat, int]:
        """The beat, and the number of the last event in it."""
        told = list(islice(self._events, EVENTS_A_BEAT))
        events = tuple(self._document(number, each) for number, each in told)
        minutes = self._news_of_minutes()
        beat = compose(
            self._host.state, self._host.spec, self._id, self._status(), events, life=self._life, minutes=minutes
        )
        return beat, told[-1][0] if told else 0

    def _news_of_minutes(self) -> Mapping[int, tuple[Row, ...]]:
        """The minutes that have changed since the fleet was told of them, the oldest first, a few at a time."""
        since = min(max(self._minutes, default=0), minute_of(time.time()))  # a clock may be put right
        news = (each for each in self._host.state.history.rows(since) if each[1] != self._minutes.get(each[0]))
        return dict(islice(news, MINUTES_A_BEAT))

    def _status(self) -> bytes | None:
        """The document to publish, if it has changed."""
        if self._host.state.spec is None:
            return None
        now = time.monotonic()
        if now >= self._samples[0] + MEASURED_EVERY:
            self._samples = now, self._host.samples()
        status = encode_any(self._host.snapshot(samples=self._samples[1]))
        return None if status == self._published else status

    def _matters(self) -> object:
        """What is worth a beat of its own when it changes."""
        pools = self._host.state.pools.values()
        rolls = [(roll.id, roll.state, len(roll.pending)) for pool in pools if (roll := pool.roll) and roll.epoch]
        return (
            sorted(self._membership.rollouts),
            rolls,
            fleet.wants_turn(self._host.state),
            [(pool.is_paused, not pool.without) for pool in pools],
            incidents.standing(self._host.state),
        )

    # -- events ------------------------------------------------------------------------------------------------------

    def _collect(self, told: Told) -> None:
        self._told += 1
        self._events.append((self._told, told))

    def _document(self, number: int, told: Told) -> bytes:
        who: dict[str, Any] = {"id": f"{self._id[:8]}-{self._life}-{number}"}
        who |= {"host": self._host.identity.host, "instance": self._host.identity.instance}
        return encode_any(told.document() | who)
