"""The Coordinator in the memory of one process: for tests, simulations, and a fleet without a server.

It is what `redis/scripts` do, in Python: the two are held together by one suite of tests.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from fleetd.coordination.kept import KeptRollout, kept
from fleetd.coordination.local_fleet import Enrolled, LocalFleet, raised
from fleetd.coordination.local_incidents import meet
from fleetd.coordination.minutes import summed_up
from fleetd.coordination.names import host_of
from fleetd.coordination.port import (
    LEASE,
    Beat,
    FleetEvent,
    HostProgress,
    HostState,
    Member,
    Request,
    Rollout,
    RolloutState,
    Row,
    Seen,
)
from fleetd.coordination.positions import parsed
from fleetd.core.epochs import FURTHEST_AHEAD, LARGEST, read
from fleetd.core.scope import Scope
from fleetd.errors import FleetdError

DAY = 86_400.0


class LocalCoordinator:
    """The Coordinator port on a LocalFleet."""

    def __init__(self, fleet: LocalFleet) -> None:
        self._fleet = fleet
        self._listening: set[asyncio.Queue[str | None]] = set()

    async def beat(self, beat: Beat) -> Seen:
        """See the port."""
        fleet, now = self._fleet, self._fleet.clock()
        if _is_of_other(fleet, beat.member, beat.id, now):
            return Seen(clock=now, held_by_other=True)
        needs_status = _enrol(fleet, beat, now)
        _remember(fleet, beat, now)
        _raise_epochs(fleet, beat, now)
        for epoch in sorted(beat.reports):
            _take_report(fleet, beat, epoch, now)
        has_turn = _turn(fleet, beat, now)
        seen = [fleet.kept[epoch] for epoch in beat.reports if epoch in fleet.kept]
        if has_turn:
            for rollout in seen:
                rollout.hosts[beat.member] = replace(rollout.hosts[beat.member], lease_until=now + LEASE)
        fleet.add_events(beat.events, now)
        fleet.note_minutes(beat, now)
        shown = {epoch for epoch, rollout in fleet.kept.items() if rollout.is_open or epoch in beat.reports}
        return Seen(
            clock=now,
            needs_status=needs_status,
            incarnation=fleet.incarnation,
            epochs={key: fleet.epochs[key] for key in beat.epochs if key in fleet.epochs},
            rollouts=tuple(fleet.kept[epoch].value(beat.member) for epoch in sorted(shown)),
            paused=frozenset(fleet.paused),
            has_turn=has_turn,
            incidents=meet(fleet.incidents, beat, now, len(fleet.live(now))),
        )

    async def leave(self, member: str, id: str) -> None:  # noqa: A002 - as in the port
        """See the port."""
        enrolled = self._fleet.members.get(member)
        if enrolled is not None and enrolled.id == id:
            del self._fleet.members[member]
            self._fleet.turns.pop(member, None)

    async def request(self, request: Request) -> Rollout | None:
        """See the port."""
        fleet, now = self._fleet, self._fleet.clock()
        epoch, until = fleet.requests.get(request.id, (0, 0.0))
        if until > now:
            if epoch not in fleet.kept:
                raise FleetdError(f"rollout {epoch} is no longer kept")
            return fleet.kept[epoch].value()
        again = [each for each in fleet.kept.values() if each.is_open and each.intent.request == request.id]
        if again:
            return max(again, key=lambda rollout: rollout.epoch).value()
        scope = request.intent.scope
        hosts = [name for name, member in fleet.live(now).items() if _is_in(scope, name, member)]
        if not hosts:
            return None
        rollout = _begin(fleet, request, hosts, now)
        fleet.requests[request.id] = (rollout.epoch, now + DAY)
        fleet.wake(f"restart {rollout.epoch}")
        return rollout.value()

    async def watch(self, rollout: Rollout) -> Rollout:
        """See the port."""
        fleet, now, epoch = self._fleet, self._fleet.clock(), rollout.epoch
        for key in map(str, rollout.intent.scope.keys()):
            fleet.epochs[key] = _forced(fleet.epochs.get(key), epoch, now)
        fleet.last = _forced(fleet.last, epoch, now)
        if epoch not in fleet.kept:
            fleet.keep(kept(rollout))
        found = fleet.kept.get(epoch)
        if found is None:
            raise FleetdError(f"rollout {epoch} is no longer kept")
        found.limit(rollout)
        for member, progress in rollout.hosts.items():
            if member not in found.hosts:
                found.enter(member, progress)
        found.settle(now)
        return found.value()

    async def rollouts(self) -> list[Rollout]:
        """See the port."""
        return [self._fleet.kept[epoch].value() for epoch in sorted(self._fleet.kept, reverse=True)]

    async def rollout(self, epoch: int) -> Rollout | None:
        """See the port."""
        found = self._fleet.kept.get(epoch)
        return None if found is None else found.value()

    async def halt(self, epoch: int, who: str) -> Rollout | None:
        """See the port."""
        return self._steered(epoch, "halt", who)

    async def resume(self, epoch: int, who: str) -> Rollout | None:
        """See the port."""
        return self._steered(epoch, "resume", who)

    def _steered(self, epoch: int, verb: str, who: str) -> Rollout | None:
        rollout = self._fleet.kept.get(epoch)
        if rollout is None:
            return None
        if verb == "halt":
            rollout.halt(who)
        else:
            rollout.resume()
        self._fleet.wake(f"{verb} {epoch}")
        return rollout.value()

    async def members(self) -> list[Member]:
        """See the port."""
        now = self._fleet.clock()
        _prune(self._fleet, now)
        return [_shown(name, member, now) for name, member in sorted(self._fleet.members.items())]

    async def pause(self, fields: tuple[str, ...], *, paused: bool) -> None:
        """See the port."""
        if paused:
            self._fleet.paused.update(fields)
        else:
            self._fleet.paused.difference_update(fields)
        self._fleet.wake("pause" if paused else "resume")

    async def paused(self) -> frozenset[str]:
        """See the port."""
        return frozenset(self._fleet.paused)

    async def events(self, after: str | None, count: int) -> list[FleetEvent]:
        """See the port."""
        events = self._fleet.events
        if after is None:
            chosen = events[-count:] if count > 0 else []
        else:
            begin = parsed(after)
            chosen = [event for event in events if event[0] > begin][:count]
        return [FleetEvent(f"{ms}-{number}", msgspec.json.decode(text)) for (ms, number), text in chosen]

    async def minutes(self, first: int, last: int) -> Mapping[int, tuple[Row, ...]]:
        """See the port."""
        kept = self._fleet.minutes
        return {minute: summed_up(kept[minute].values()) for minute in range(first, last + 1) if kept.get(minute)}

    async def hints(self) -> AsyncIterator[str]:
        """See the port."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._listening.add(queue)
        self._fleet.listeners.add(queue)
        try:
            while (hint := await queue.get()) is not None:
                yield hint
        finally:
            self._listening.discard(queue)
            self._fleet.listeners.discard(queue)

    async def close(self) -> None:
        """See the port."""
        for queue in self._listening:
            queue.put_nowait(None)


def _is_of_other(fleet: LocalFleet, member: str, identity: str, now: float) -> bool:
    enrolled = fleet.members.get(member)
    return enrolled is not None and enrolled.id != identity and enrolled.lease_end > now


def _enrol(fleet: LocalFleet, beat: Beat, now: float) -> bool:
    """Renew the lease; whether the published document is missing."""
    before = fleet.members.get(beat.member)
    remembered = before.status if before is not None and before.lease_end > now else None
    status = beat.status if beat.status is not None else remembered
    epoch = max(beat.epochs.values(), default=0)
    fleet.members[beat.member] = Enrolled(
        beat.id, now + LEASE, beat.pools, beat.version, beat.max_parallel_hosts, status, epoch
    )
    _prune(fleet, now)
    return status is None


def _prune(fleet: LocalFleet, now: float) -> None:
    for name in [name for name, member in fleet.members.items() if member.lease_end <= now - DAY]:
        del fleet.members[name]


def _remember(fleet: LocalFleet, beat: Beat, now: float) -> None:
    """Pauses that were lost with the memory are set again by those who still know them."""
    is_new = not fleet.incarnation
    if is_new:
        new = hashlib.sha256(f"{beat.id} {now}".encode()).hexdigest()[:40]
        fleet.incarnation = beat.incarnation or new
    if is_new or (beat.incarnation and beat.incarnation != fleet.incarnation):
        fleet.paused.update(beat.paused)


def _raise_epochs(fleet: LocalFleet, beat: Beat, now: float) -> None:
    known = {key: value for key, value in beat.epochs.items() if value > 0 and read(str(value), now) is not None}
    for key, value in known.items():
        fleet.raise_epoch(key, value, now)
    if known:
        fleet.last = raised(fleet.last, max(known.values()), now)


def _forced(raw: str | None, value: int, now: float) -> str:
    stored = None if raw is None else read(raw, now)
    return str(value) if stored is None or raw is None or stored < value else raw


def _take_report(fleet: LocalFleet, beat: Beat, epoch: int, now: float) -> None:
    report = beat.reports[epoch]
    if epoch not in fleet.kept:
        most, live = report.intent.max_parallel_hosts, len(fleet.live(now))
        begun = KeptRollout(epoch, RolloutState.RUNNING, report.intent, now, most or fleet.strictest(now))
        begun.live_members = None if most else live
        fleet.keep(begun)
    rollout = fleet.kept.get(epoch)
    if rollout is not None:  # older than all that are kept
        if epoch in beat.epochs.values():
            rollout.widen(report.intent.scope)
        rollout.take(beat.member, replace(report.progress, lease_until=None), now)


def _turn(fleet: LocalFleet, beat: Beat, now: float) -> bool:
    fleet.turns = {member: end for member, end in fleet.turns.items() if end > now}
    wanted = [fleet.kept[epoch] for epoch in beat.wants_turn if epoch in fleet.kept]
    running = [rollout for rollout in wanted if rollout.state is RolloutState.RUNNING]
    live = len(fleet.live(now))
    for rollout in running:
        if rollout.live_members is not None and rollout.live_members != live:
            rollout.max_parallel_hosts, rollout.live_members = fleet.strictest(now), live
    others = len(set(map(host_of, fleet.turns)) - {host_of(beat.member)})
    has_it = beat.member in fleet.turns or all(others < rollout.max_parallel_hosts for rollout in running)
    if not running or not has_it:
        fleet.turns.pop(beat.member, None)
        return False
    fleet.turns[beat.member] = now + LEASE
    return True


def _is_in(scope: Scope, name: str, member: Enrolled) -> bool:
    is_host = scope.hosts is None or host_of(name) in scope.hosts
    return is_host and (scope.pools is None or not set(scope.pools).isdisjoint(member.pools))


def _begin(fleet: LocalFleet, request: Request, hosts: list[str], now: float) -> KeptRollout:
    scope = request.intent.scope
    keys = list(map(str, scope.keys()))
    epoch = _next_epoch(fleet, keys, hosts, now)
    fleet.epochs.update(dict.fromkeys(keys, str(epoch)))
    fleet.last = str(epoch)
    for other in fleet.kept.values():
        if other.is_open and scope.covers(other.intent.scope):
            other.supersede(epoch, now)
    most = fleet.strictest(now) if request.max_parallel_hosts is None else request.max_parallel_hosts
    rollout = KeptRollout(epoch, RolloutState.RUNNING, request.as_reported(), now, most)
    for host in hosts:
        rollout.enter(host, HostProgress(HostState.ASKED))
    fleet.keep(rollout)
    return rollout


def _next_epoch(fleet: LocalFleet, keys: list[str], hosts: list[str], now: float) -> int:
    """Greater than all that was given out, and than all that those who are asked believe."""
    stored = (read(raw, now) for raw in (fleet.last, *map(fleet.epochs.get, keys)) if raw is not None)
    believed = (value for host in hosts if (value := fleet.members[host].epoch) <= LARGEST)
    epoch = max(int(now), *(value + 1 for value in stored if value is not None), *(value + 1 for value in believed))
    if epoch > now + FURTHEST_AHEAD:
        ahead, rest = (epoch - 1 - now) / 3600, (epoch - now - FURTHEST_AHEAD) / 3600
        raise FleetdError(
            f"the hosts remember restart epoch {epoch - 1}, {ahead:.1f} h ahead of the clock of the coordinator, and "
            f"would ignore a lower one: set that clock right, or ask again in {rest:.1f} h; nothing was asked for"
        )
    return epoch


def _shown(name: str, member: Enrolled, now: float) -> Member:
    is_live = member.lease_end > now
    status: Any = msgspec.json.decode(member.status) if is_live and member.status is not None else None
    return Member(
        name=name,
        last_seen=member.lease_end - LEASE,
        is_live=is_live,
        pools=member.pools,
        version=member.version,
        status=status,
    )
