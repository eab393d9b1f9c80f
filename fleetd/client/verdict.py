"""What a requester makes of what it sees of its rollout: pure, so that every case is a row of a table."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from msgspec import Struct, field

from fleetd.coordination.port import LEASE, HostState, Rollout, RolloutState


class End(StrEnum):
    """How waiting for a rollout ended."""

    DONE = "done"  # no host that is waited for has a stale worker
    HALTED = "halted"
    MISSING = "missing"  # the others are done, and what is left does not come back
    SEEN = "seen"  # not waited for: a live member knows of it
    UNSEEN = "unseen"  # … none confirmed it in time
    TIMED_OUT = "timed-out"
    UNREACHABLE = "unreachable"  # Redis gave no answer for too long


class View(Struct, frozen=True):
    """What is known: the rollout asked for and those that superseded it, in this order.

    `waited_for` are the members that were live at the request, `missing` those of them that do not come back.
    """

    rollouts: tuple[Rollout, ...]
    waited_for: frozenset[str]
    missing: frozenset[str] = frozenset()

    @property
    def newest(self) -> Rollout:
        """The one that goes on."""
        return self.rollouts[-1]

    @property
    def done(self) -> frozenset[str]:
        """The members that are done: with any of the rollouts, for each replaces at least the workers of the first."""
        return frozenset(
            name
            for rollout in self.rollouts
            for name, progress in rollout.hosts.items()
            if name in self.waited_for and progress.state is HostState.DONE
        )

    @property
    def pending(self) -> frozenset[str]:
        """The members that are not done."""
        return self.waited_for - self.done

    @property
    def is_seen(self) -> bool:
        """Whether some member has said that it knows of the request."""
        return any(progress.state is not HostState.ASKED for each in self.rollouts for progress in each.hosts.values())


def judge(view: View) -> End | None:
    """How it ended; None: it goes on."""
    if not view.pending:
        return End.DONE
    if view.newest.state is RolloutState.HALTED:
        return End.HALTED
    return End.MISSING if view.pending <= view.missing else None


class Absences(Struct):
    """Since when members are seen to be away, on the requester's clock."""

    since: dict[str, float] = field(default_factory=dict)

    def look(self, waited_for: Collection[str], live: Collection[str], now: float) -> None:
        """Take note of who is live now."""
        self.since = {name: self.since.get(name, now) for name in waited_for if name not in live}

    def forget(self) -> None:
        """What was noted says nothing: the coordinator itself was out of reach, and nobody could renew a lease."""
        self.since.clear()

    def missing(self, now: float) -> frozenset[str]:
        """Those whose lease has been over for one more lease's term."""
        return frozenset(name for name, since in self.since.items() if now - since >= LEASE)
