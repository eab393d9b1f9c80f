"""The Coordinator port: membership, epochs, rollouts, turns, pauses and events of one fleet.

Every method is one atomic step at the coordinator, judged by its clock alone.  What a member reports is absolute, not a
change, so that a beat may be lost, late or repeated without harm.  Every method but `close` raises UnreachableError
when there is no answer within a few seconds, and FleetdError when the answer makes no sense.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from fleetd.core.incident import Held, Shared, Told
from fleetd.core.minutes import Row
from fleetd.core.roll import RollError
from fleetd.core.rollout import HostProgress, HostState, Intent, Report, Rollout, RolloutState
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount

__all__ = [
    "Amount",
    "Beat",
    "Coordinator",
    "FleetEvent",
    "Held",
    "HostProgress",
    "HostState",
    "Intent",
    "Member",
    "Report",
    "Request",
    "RollError",
    "Rollout",
    "RolloutState",
    "Row",
    "Scope",
    "Seen",
    "Shared",
    "Told",
]

PROTOCOL = 1  # what members of other versions must know of each other
LEASE = 10.0  # seconds for which a member, and its turn, are believed without a new beat
HOLD = 300.0  # seconds for which a member is believed to have an incident without a new beat
GATHER = 5.0  # seconds in which the hosts that have an incident are found, where there are several members
CLOSED = 300.0
KEPT_ROLLOUTS = 100
KEPT_EVENTS = 10_000
KEPT_MINUTES = 25 * 60  # a day, and the hour that is just going on


class Beat(Struct, frozen=True):
    """All that a member has to say.

    `status` is its published document as JSON, None: as before.  `epochs` are the values that it knows, by the
    EpochKey's text, for all keys that apply to it (0: none): a lower or missing one at the coordinator is raised to it.
    `wants_turn` are the epochs of the rollouts for which it has workers to replace; none: it gives its turn back.
    `paused` are the pauses that it remembers, by the field's text, to be set again where the coordinator has lost its
    memory (`incarnation` is not the one that it knows).  `minutes` are whole rows of the history, by the minute
    since 1970: they take the place of those that the same `life`, the member's process, told before.
    `incidents` are what the member knows of incidents that are not all told yet; `has_alerts`: it could tell people.
    """

    member: str  # HOST/INSTANCE
    id: str  # random, kept by the instance
    pools: tuple[str, ...]
    max_parallel_hosts: Amount
    version: str
    status: bytes | None = None
    epochs: Mapping[str, int] = {}
    reports: Mapping[int, Report] = {}
    wants_turn: tuple[int, ...] = ()
    paused: tuple[str, ...] = ()
    incarnation: str = ""
    events: tuple[bytes, ...] = ()  # JSON documents, oldest first
    life: str = ""
    minutes: Mapping[int, tuple[Row, ...]] = {}
    incidents: tuple[Held, ...] = ()
    has_alerts: bool = False


class Seen(Struct, frozen=True):
    """The answer to a beat.

    `held_by_other`: another daemon has this name, nothing was written and the rest is empty.  `needs_status`: the
    published document is gone, publish it with the next beat.  `epochs` are the texts of the keys that exist, after the
    raising; not all of them are sane.  `rollouts`: those that run or are halted, and those that the beat reported on.
    `incidents`: those that the beat told of, by key, and for a member that has alerts those that were left behind by
    hosts that are gone.
    """

    clock: float  # Unix seconds
    held_by_other: bool = False
    needs_status: bool = False
    incarnation: str = ""
    epochs: Mapping[str, str] = {}
    rollouts: tuple[Rollout, ...] = ()
    paused: frozenset[str] = frozenset()
    has_turn: bool = False
    incidents: Mapping[str, Shared] = {}


class Request(Struct, frozen=True):
    """A restart that is asked for.  `id` is random: what comes twice is one request."""

    id: str
    intent: Intent
    max_parallel_hosts: int | None = None  # None: the strictest among the live members

    def as_reported(self) -> Intent:
        """The intent as the rollout has it, and members report it."""
        return replace(self.intent, max_parallel_hosts=self.max_parallel_hosts, request=self.id)


class Member(Struct, frozen=True):
    """A member as others see it; `status` is the document that it published."""

    name: str  # HOST/INSTANCE
    last_seen: float
    is_live: bool
    pools: tuple[str, ...] = ()
    version: str = ""
    protocol: int = PROTOCOL
    status: Mapping[str, Any] | None = None


class FleetEvent(Struct, frozen=True):
    """An event of some member: its place in the stream, and the document."""

    position: str
    document: Mapping[str, Any]


class Coordinator(Protocol):
    """One fleet, seen from one member or one requester."""

    async def beat(self, beat: Beat) -> Seen:
        """Renew the lease, report, take or keep or give back a turn, and see what there is to know.

        A turn is granted while fewer hosts hold one than each of the wanted rollouts allows, and none of them is asked
        for that is halted.  A rollout that is reported and not known is begun with the report's intent; where that says
        nothing of how many hosts at once, the strictest is worked out anew when others live.

        An incident is to be told by one of the members that tell of it: that it opened after GATHER seconds, in which
        others may find that they have it too, and that it is over when none has it any more.  Who was to tell it and
        has not beaten for LEASE seconds is followed by another.  A member that is not heard of for HOLD seconds has it
        no longer.  What was told to be over is remembered for CLOSED seconds, for those who hear of it late.
        """
        ...

    async def leave(self, member: str, id: str) -> None:  # noqa: A002 - as in Beat
        """End the membership and the turn at once; nothing where another daemon has the name."""
        ...

    async def request(self, request: Request) -> Rollout | None:
        """Take a new epoch, set it on every key of the scope, and begin its rollout; None: no live member in scope.

        The epoch is greater than all that the members in scope believe; where that would be more than a day ahead of
        the coordinator's clock, so that they would refuse it, nothing is written and FleetdError raised.
        Running and halted rollouts that the scope covers are superseded.  The rollout lists the live members in scope
        (by host, and by having one of the pools).  Asked for again with the same id it answers with the same epoch;
        the rollout tells of it, too, while it is open, also where it was lost and came back by reports.
        """
        ...

    async def watch(self, rollout: Rollout) -> Rollout:
        """The rollout now; where its epoch keys or it itself were lost, they are set again as `rollout` has them.

        One that came back by a report is at most as many hosts' at once as `rollout` says.
        """
        ...

    async def rollouts(self) -> list[Rollout]:
        """The last ones, newest first, each with its hosts."""
        ...

    async def rollout(self, epoch: int) -> Rollout | None:
        """One of them, with its hosts; None: it is not kept."""
        ...

    async def halt(self, epoch: int, who: str) -> Rollout | None:
        """Halt a running rollout; None: there is no such rollout.  One that is over stays as it is."""
        ...

    async def resume(self, epoch: int, who: str) -> Rollout | None:
        """Have a halted rollout go on; None: there is no such rollout.  One that is not halted stays as it is."""
        ...

    async def members(self) -> list[Member]:
        """The members of the last day, sorted by name, live or not."""
        ...

    async def pause(self, fields: tuple[str, ...], *, paused: bool) -> None:
        """Set or lift pauses: "host:H", "pool:P", "host:H:pool:P"."""
        ...

    async def paused(self) -> frozenset[str]:
        """The pauses that are set."""
        ...

    async def events(self, after: str | None, count: int) -> list[FleetEvent]:
        """At most `count` events after a position, oldest first; None: the last ones."""
        ...

    async def minutes(self, first: int, last: int) -> Mapping[int, tuple[Row, ...]]:
        """The history of the fleet's jobs from one minute (since 1970) to another: a row for each pool and queue.

        Minutes in which nothing ended are left out; what is older than a day is not kept.
        """
        ...

    def hints(self) -> AsyncIterator[str]:
        """Something may have changed: look now.  Correctness never rests on it; ends when the connection does."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
