"""What a member says with a beat, and what it makes of the answer: between the core's state and the port."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fleetd import __version__
from fleetd.coordination.port import LEASE, Beat, Seen
from fleetd.core import incidents, progress
from fleetd.core.events import FleetObserved
from fleetd.core.minutes import Row
from fleetd.core.spec import FleetSpec, Seconds
from fleetd.core.state import State

MARGIN: Seconds = 1.0  # before its lease ends, a turn is not used any more


def compose(
    state: State,
    spec: FleetSpec,
    own_id: str,
    status: bytes | None = None,
    events: tuple[bytes, ...] = (),
    *,
    life: str = "",
    minutes: Mapping[int, tuple[Row, ...]] = MappingProxyType({}),
) -> Beat:
    """All that a member of a fleet has to say now."""
    membership, member = state.fleet, spec.member
    assert membership is not None
    assert member is not None
    told = progress.reports(state)
    return Beat(
        member=membership.member,
        id=own_id,
        pools=tuple(spec.pools),
        max_parallel_hosts=member.max_parallel_hosts,
        version=__version__,
        status=status,
        epochs=membership.values(spec.pools),
        reports=told,
        wants_turn=progress.wanted(state, told),
        paused=tuple(sorted(membership.paused)),
        incarnation=membership.incarnation,
        events=events,
        life=life,
        minutes=minutes,
        incidents=incidents.said(state),
        has_alerts=bool(spec.alerts),
    )


def observed(seen: Seen, sent: Seconds) -> FleetObserved:
    """The answer as an event; `sent` is when the beat was sent, on the host's monotonic clock."""
    return FleetObserved(
        clock=seen.clock,
        epochs=seen.epochs,
        rollouts=seen.rollouts,
        paused=seen.paused,
        incarnation=seen.incarnation,
        turn_until=sent + LEASE - MARGIN if seen.has_turn else None,
        held_by_other=seen.held_by_other,
        incidents=seen.incidents,
    )
