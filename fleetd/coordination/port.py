"""The Coordinator port: membership, epochs, rollouts, turns, pauses and events of one fleet.

Every method is one atomic step at the coordinator, judged by its clock alone.  What a member reports is absolute, not a
change, so that a beat may be lost, late or repeated without harm.  Every method but `close` raises UnreachableError
when there is no answer within a few seconds, and FleetdError when the answer makes no sense.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from fleetd.core.scope import Scope
from fleetd.core.spec import Amount

PROTOCOL = 1  # what members of other versions must know of each other
LEASE = 10.0  # seconds for which a member, and its turn, are believed without a new beat
KEPT_ROLLOUTS = 100
KEPT_EVENTS = 10_000


class HostState(StrEnum):
    """Where a host stands in a rollout."""

    ASKED = "asked"  # was live at the request, and has not said that it saw it
    WAITING = "waiting"  # has stale workers, and no turn
    ROLLING = "rolling"
    DONE = "done"  # has no stale worker in scope
    HALTED = "halted"  # a worker of it failed


class HostError(Struct, frozen=True):
    """Why a host's part of a rollout failed: the worker, how it ended, and its last lines."""

    worker: str
    reason: str
    lines: tuple[str, ...] = ()


class HostProgress(Struct, frozen=True):
    """How far a host is with a rollout: workers in scope, and how many of them are of the epoch or a later one.

    `resumes` is the rollout's number of resumptions that the host had seen when it wrote this: a failure from before
    the last one does not halt it again.
    """

    state: HostState
    total: int = 0
    done: int = 0
    error: HostError | None = None
    longest_drain: float = 0.0
    resumes: int = 0
    lease_until: float | None = None  # of its turn, on the coordinator's clock; set by the coordinator


class RolloutState(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    DONE = "done"
    HALTED = "halted"
    SUPERSEDED = "superseded"


class Intent(Struct, frozen=True):
    """What is asked for in a rollout, by whom."""

    who: str = ""
    label: str | None = None
    scope: Scope = Scope()
    mode: str = "graceful"  # or "now"


class Rollout(Struct, frozen=True):
    """A rollout as the coordinator has it; `at` is when it was asked for, in Unix seconds."""

    epoch: int
    state: RolloutState
    intent: Intent
    at: float
    max_parallel_hosts: int
    resumes: int = 0
    superseded_by: int | None = None
    halted_by: str | None = None  # HOST/INSTANCE, or who gave the order
    ended: float | None = None
    hosts: Mapping[str, HostProgress] = {}  # by HOST/INSTANCE; in a beat's answer only the member's own


class Report(Struct, frozen=True):
    """What a member tells about a rollout; the intent is for a coordinator that has lost it."""

    intent: Intent
    progress: HostProgress


class Beat(Struct, frozen=True):
    """All that a member has to say.

    `status` is its published document as JSON, None: as before.  `epochs` are the values that it knows, by the
    EpochKey's text, for all keys that apply to it (0: none): a lower or missing one at the coordinator is raised to it.
    `wants_turn` are the epochs of the rollouts for which it has workers to replace; none: it gives its turn back.
    `paused` are the pauses that it remembers, by the field's text, to be set again where the coordinator has lost its
    memory (`incarnation` is not the one that it knows).
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


class Seen(Struct, frozen=True):
    """The answer to a beat.

    `held_by_other`: another daemon has this name, nothing was written and the rest is empty.  `needs_status`: the
    published document is gone, publish it with the next beat.  `epochs` are the texts of the keys that exist, after the
    raising; not all of them are sane.  `rollouts`: those that run or are halted, and those that the beat reported on.
    """

    clock: float  # Unix seconds
    held_by_other: bool = False
    needs_status: bool = False
    incarnation: str = ""
    epochs: Mapping[str, str] = {}
    rollouts: tuple[Rollout, ...] = ()
    paused: frozenset[str] = frozenset()
    has_turn: bool = False


class Request(Struct, frozen=True):
    """A restart that is asked for.  `id` is random: what comes twice is one request."""

    id: str
    intent: Intent
    max_parallel_hosts: int | None = None  # None: the strictest among the live members


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
        for that is halted.  A rollout that is reported and not known is begun with the report's intent.
        """
        ...

    async def leave(self, member: str, id: str) -> None:  # noqa: A002 - as in Beat
        """End the membership and the turn at once; nothing where another daemon has the name."""
        ...

    async def request(self, request: Request) -> Rollout | None:
        """Take a new epoch, set it on every key of the scope, and begin its rollout; None: no live member in scope.

        Running and halted rollouts that the scope covers are superseded.  The rollout lists the live members in scope
        (by host, and by having one of the pools).  Asked for again with the same id it answers with the same epoch.
        """
        ...

    async def watch(self, rollout: Rollout) -> Rollout:
        """The rollout now; where its epoch keys or it itself were lost, they are set again as `rollout` has them."""
        ...

    async def rollouts(self) -> list[Rollout]:
        """The last ones, newest first, each with its hosts."""
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

    def hints(self) -> AsyncIterator[str]:
        """Something may have changed: look now.  Correctness never rests on it; ends when the connection does."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
