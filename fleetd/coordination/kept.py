"""A rollout as a coordinator in memory keeps it: every way in which it may change."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from fleetd.coordination.port import HostProgress, HostState, Intent, Rollout, RolloutState, Scope

OPEN = (RolloutState.RUNNING, RolloutState.HALTED)


class KeptRollout(Struct):
    """The fields of a Rollout, and `remaining`: the hosts that are not done."""

    epoch: int
    state: RolloutState
    intent: Intent
    at: float
    max_parallel_hosts: int
    resumes: int = 0
    superseded_by: int | None = None
    halted_by: str | None = None
    ended: float | None = None
    hosts: dict[str, HostProgress] = field(default_factory=dict)
    remaining: int = 0
    live_members: int | None = None  # for which max_parallel_hosts was worked out; None: it stays as it is

    @property
    def is_open(self) -> bool:
        """Whether it runs or is halted."""
        return self.state in OPEN

    def value(self, member: str | None = None) -> Rollout:
        """It as others see it: with all hosts, or with the member's own field only."""
        hosts = self.hosts if member is None else {k: v for k, v in self.hosts.items() if k == member}
        return Rollout(
            epoch=self.epoch,
            state=self.state,
            intent=self.intent,
            at=self.at,
            max_parallel_hosts=self.max_parallel_hosts,
            resumes=self.resumes,
            superseded_by=self.superseded_by,
            halted_by=self.halted_by,
            ended=self.ended,
            hosts=dict(hosts),
        )

    def enter(self, member: str, progress: HostProgress) -> None:
        """Set a host's field, and count."""
        before = self.hosts.get(member)
        self.remaining += _counts(progress) - (0 if before is None else _counts(before))
        self.hosts[member] = progress

    def widen(self, scope: Scope) -> None:
        """It is for more than was known: one that gave way to another goes on, for what the other is not for."""
        if self.intent.scope.covers(scope):
            return
        self.intent = replace(self.intent, scope=self.intent.scope.with_all_of(scope))
        if self.state is RolloutState.SUPERSEDED:
            self.state, self.superseded_by, self.ended = RolloutState.RUNNING, None, None

    def take(self, member: str, progress: HostProgress, now: float) -> None:
        """Take a host's report, and what follows from it."""
        self.enter(member, progress)
        if progress.resumes > self.resumes:
            self._catch_up(progress.resumes)
        self.settle(now)
        failed = progress.state is HostState.HALTED and progress.resumes >= self.resumes
        if failed:
            self.halt(member)

    def _catch_up(self, resumes: int) -> None:
        """It was resumed before it was lost: a failure from before that does not halt it."""
        self.resumes = resumes
        by = self.hosts.get(self.halted_by or "")
        if self.state is RolloutState.HALTED and by is not None and by.resumes < resumes:
            self.state, self.halted_by = RolloutState.RUNNING, None

    def settle(self, now: float) -> None:
        """It is done when all of its hosts are, and goes on when one of them is not any more."""
        if self.is_open and self.remaining == 0:
            self.state, self.halted_by, self.ended = RolloutState.DONE, None, now
        elif self.state is RolloutState.DONE and self.remaining > 0:
            self.state, self.ended = RolloutState.RUNNING, None

    def halt(self, by: str) -> None:
        """Halt it if it runs."""
        if self.state is RolloutState.RUNNING:
            self.state, self.halted_by = RolloutState.HALTED, by

    def resume(self) -> None:
        """Let it go on if it is halted."""
        if self.state is RolloutState.HALTED:
            self.state, self.halted_by = RolloutState.RUNNING, None
            self.resumes += 1

    def limit(self, known: Rollout) -> None:
        """It was begun by a report: someone who knew it before may know of a stricter limit, or of one that was set."""
        asked = known.intent.max_parallel_hosts
        if self.live_members is None:
            return
        if asked is None:
            self.max_parallel_hosts = min(self.max_parallel_hosts, known.max_parallel_hosts)
        else:
            self.max_parallel_hosts, self.live_members = asked, None
            self.intent = replace(self.intent, max_parallel_hosts=asked)

    def supersede(self, by: int, now: float) -> None:
        """It gives way to another."""
        self.state, self.superseded_by, self.ended = RolloutState.SUPERSEDED, by, now


def kept(rollout: Rollout) -> KeptRollout:
    """A rollout to be kept, as someone remembers it, without its hosts."""
    return KeptRollout(
        epoch=rollout.epoch,
        state=rollout.state,
        intent=rollout.intent,
        at=rollout.at,
        max_parallel_hosts=rollout.max_parallel_hosts,
        resumes=rollout.resumes,
        superseded_by=rollout.superseded_by,
        halted_by=rollout.halted_by,
        ended=rollout.ended,
    )


def _counts(progress: HostProgress) -> int:
    return int(progress.state is not HostState.DONE)
