"""A fleet, seen through its Coordinator: what a live view shows of it, and what it may ask of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress

from fleetd.client import fleet_acts
from fleetd.client.control import ControlClient
from fleetd.client.fleet_events import Once
from fleetd.client.host_lines import worker_lines
from fleetd.client.rollout_document import rollout_document
from fleetd.coordination.cancelling import ended
from fleetd.coordination.names import host_of
from fleetd.coordination.port import Coordinator, Member, Rollout, RolloutState
from fleetd.errors import FleetdError, NotFoundError
from fleetd.views.host_document import read
from fleetd.views.picture import Document, Picture, Request, Verb

EVERY = 2.0  # seconds between two pictures: members publish no oftener
SOONEST = 1.0  # … where a hint says that something has happened
EVENTS = 200  # of the last ones that are told first
ROLLOUTS = 20  # that are over and told
_EVENTS_AT_ONCE, _EVENTS_EVERY = 500, 1.0
_BEGINNING = "0-0"

Beside = Callable[[str], ControlClient | None]
"""The daemon of a member that runs on this host; None for one elsewhere.  It may take a moment."""


def fleet_source(
    coordinator: Coordinator, fleet: str, who: str = "", beside: Beside = lambda _member: None
) -> FleetSource:
    """The fleet; `who` asks for what is asked for."""
    return FleetSource(coordinator, fleet, who, beside)


class FleetSource:
    """See `fleetd.views.picture.Source`."""

    def __init__(self, coordinator: Coordinator, fleet: str, who: str, beside: Beside) -> None:
        self._coordinator = coordinator
        self._fleet = fleet
        self._who = who
        self._beside = beside
        self._members: Sequence[Member] = ()

    @property
    def can(self) -> frozenset[Verb]:
        """What hosts take from a fleet."""
        return fleet_acts.CAN

    def measure(self, pools: frozenset[str]) -> None:
        """See the protocol: what members publish is measured seldom, whoever looks."""

    async def act(self, request: Request) -> str:
        """See the protocol."""
        return await fleet_acts.carry_out(self._coordinator, request, self._who)

    # -- pictures ------------------------------------------------------------------------------------------------------

    async def pictures(self) -> AsyncGenerator[Picture]:
        """See the protocol."""
        last, hint = Picture(time.time(), fleet=self._fleet), asyncio.Event()
        listening = asyncio.create_task(self._listen(hint))
        try:
            while True:
                began = asyncio.get_running_loop().time()
                hint.clear()
                try:
                    yield (last := await self._picture())
                except FleetdError as error:
                    trouble = f"{error}; this is what was seen last"
                    yield Picture(last.seen_at, last.hosts, self._fleet, last.rollouts, trouble)
                await _rest(began, hint)
        finally:
            await ended([listening])

    async def _picture(self) -> Picture:
        self._members, rollouts = await asyncio.gather(self._coordinator.members(), self._coordinator.rollouts())
        return Picture(time.time(), tuple(map(_host, self._members)), self._fleet, tuple(_shown(rollouts)))

    async def _listen(self, hint: asyncio.Event) -> None:
        while True:
            with suppress(FleetdError):
                async for _ in self._coordinator.hints():
                    hint.set()
            await asyncio.sleep(EVERY)

    # -- events --------------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncGenerator[Document]:
        """See the protocol."""
        once, position = Once(), None
        while True:
            count = EVENTS if position is None else _EVENTS_AT_ONCE
            try:
                events = await self._coordinator.events(position, count)
            except FleetdError:  # the pictures say what is the matter
                events = []
            else:
                position = position or _BEGINNING
            for document in once.new(events):
                yield document
            position = events[-1].position if events else position
            if len(events) < count:
                await asyncio.sleep(_EVENTS_EVERY)

    # -- lines ---------------------------------------------------------------------------------------------------------

    async def lines(self, worker: str) -> AsyncGenerator[str]:
        """See the protocol; `worker` may have its member before it, as in "media-1/app/media:3"."""
        member, _, name = worker.rpartition("/")
        client = await self._daemon_of(member, name)
        async with aclosing(worker_lines(client, name)) as lines:
            async for line in lines:
                yield line

    async def _daemon_of(self, member: str, worker: str) -> ControlClient:
        """The daemon that runs the worker.  Raises FleetdError, which says where to look, for one elsewhere."""
        having = [member] if member else list(_having(worker, self._members))
        for each in having:
            if (client := await asyncio.to_thread(self._beside, each)) is not None:
                return client
        if not having:
            raise NotFoundError(f"{worker}: no live member has such a worker")
        host = host_of(having[0])
        raise FleetdError(f"{worker} runs on {host}: look there, with `fleetd status` or `fleetd logs -f {worker}`")


def _having(worker: str, members: Iterable[Member]) -> Iterable[str]:
    for member in members:
        there = read(member.status) if member.is_live else None
        if there is not None and any(each.name == worker for pool in there.pools for each in pool.workers):
            yield member.name


def _host(member: Member) -> Document:
    """As it published itself; one that has published nothing is shown by its name."""
    host, _, instance = member.name.partition("/")
    known = {"host": host, "instance": instance, "version": member.version, "state": "unknown", "pools": []}
    return {
        **known,
        **(member.status or {}),
        "name": member.name,
        "last_seen": member.last_seen,
        "live": member.is_live,
    }


def _shown(rollouts: Iterable[Rollout]) -> Iterable[Document]:
    """Those under way, and the last ones."""
    for number, rollout in enumerate(rollouts):
        if number < ROLLOUTS or rollout.state in {RolloutState.RUNNING, RolloutState.HALTED}:
            yield rollout_document(rollout)


async def _rest(began: float, hint: asyncio.Event) -> None:
    """Until the next picture is due: at once after a hint, but not too soon."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(began + EVERY):
            await hint.wait()
    await asyncio.sleep(began + SOONEST - asyncio.get_running_loop().time())
