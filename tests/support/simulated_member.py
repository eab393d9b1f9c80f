"""A member of a fleet without a daemon: it beats, and does with a rollout what a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from msgspec.structs import replace

from fleetd.coordination.names import host_of
from fleetd.coordination.port import (
    Beat,
    Coordinator,
    HostProgress,
    HostState,
    Report,
    RollError,
    Rollout,
    RolloutState,
    Seen,
)
from fleetd.core.spec import Amount

EVERY = 2.0  # seconds between two beats
NO_LUCK = RollError("media:0", "exit code 1", ("Traceback (most recent call last):", "ImportError: no module \x1b[2Jx"))


class Does(StrEnum):
    """What a member does when it is asked to roll."""

    ROLL = "roll"  # a worker each beat, once it has a turn
    SEE = "see"  # it says that it waits
    NOTHING = "nothing"  # it beats, and says nothing of it
    FAIL = "fail"  # its first worker fails
    VANISH = "vanish"  # it begins to roll, and is gone


@dataclass
class SimulatedMember:
    """HOST/INSTANCE with pools of `numprocs` workers each."""

    name: str
    pools: tuple[str, ...] = ("media",)
    numprocs: int = 2
    does: Does = Does.ROLL
    max_parallel_hosts: Amount = field(default_factory=lambda: Amount(share=1.0))
    obeys_pauses: bool = True
    job: Mapping[str, Any] | None = None
    events: list[bytes] = field(default_factory=list)
    progress: dict[int, Report] = field(default_factory=dict)
    epoch: int | None = None
    rolled: int = 0
    paused: frozenset[str] = frozenset()
    has_turn: bool = False
    is_gone: bool = False

    @property
    def workers(self) -> int:
        return self.numprocs * len(self.pools)

    async def live(self, coordinator: Coordinator, every: float = EVERY) -> None:
        """Beat until it vanishes or is cancelled."""
        while not self.is_gone:
            await self.beat(coordinator)
            await asyncio.sleep(every)

    async def beat(self, coordinator: Coordinator) -> Seen:
        events, self.events = tuple(self.events), []
        beat = Beat(
            member=self.name,
            id=f"id-of-{self.name}",
            pools=self.pools,
            max_parallel_hosts=self.max_parallel_hosts,
            version="0.0.0",
            status=json.dumps(self.document()).encode(),
            reports=dict(self.progress),
            wants_turn=tuple(
                epoch
                for epoch, report in self.progress.items()
                if report.progress.state in {HostState.WAITING, HostState.ROLLING}
            ),
            events=events,
        )
        seen = await coordinator.beat(beat)
        self.paused = seen.paused if self.obeys_pauses else frozenset()
        self.has_turn = seen.has_turn
        for rollout in sorted(seen.rollouts, key=lambda each: each.epoch):
            self._go_on_with(rollout)
        return seen

    def _go_on_with(self, rollout: Rollout) -> None:
        pools = [pool for pool in self.pools if rollout.intent.scope.key_for(host_of(self.name), pool) is not None]
        if not pools or self.does is Does.NOTHING or rollout.state is not RolloutState.RUNNING:
            return
        if self.does is Does.VANISH and rollout.epoch in self.progress:
            self.is_gone = True
            return
        known = self.progress.get(rollout.epoch)
        total = len(pools) * self.numprocs
        before = HostProgress(HostState.WAITING, total) if known is None else known.progress
        self.progress[rollout.epoch] = Report(rollout.intent, self._next(before, rollout) if known else before)

    def _next(self, before: HostProgress, rollout: Rollout) -> HostProgress:
        if self.does is Does.SEE or not self.has_turn or before.state not in {HostState.WAITING, HostState.ROLLING}:
            return replace(before, resumes=rollout.resumes)
        if self.does is Does.FAIL:
            return replace(before, state=HostState.HALTED, error=NO_LUCK, resumes=rollout.resumes)
        done = before.done + 1
        self.epoch, self.rolled = rollout.epoch, done
        state = HostState.DONE if done >= before.total else HostState.ROLLING
        return replace(before, state=state, done=done, longest_drain=3.0, resumes=rollout.resumes)

    def document(self) -> dict[str, Any]:
        """What it publishes."""
        host, _, instance = self.name.partition("/")
        return {
            "schema": 1,
            "instance": instance,
            "host": host,
            "pid": 1,
            "version": "0.0.0",
            "state": "running",
            "started_at": 1.0,
            "fleet": {"name": "acme", "connected": True, "epoch": self.epoch, "since": 1.0},
            "pools": [self._pool(pool, number) for number, pool in enumerate(self.pools)],
        }

    def _pool(self, name: str, number: int) -> dict[str, Any]:
        host = host_of(self.name)
        paused = not self.paused.isdisjoint({f"host:{host}", f"pool:{name}", f"host:{host}:pool:{name}"})
        workers = [self._worker(name, slot, number * self.numprocs + slot) for slot in range(self.numprocs)]
        state = "paused" if paused else "running"
        return {"name": name, "state": state, "paused": paused, "numprocs": self.numprocs, "workers": workers}

    def _worker(self, pool: str, slot: int, number: int) -> dict[str, Any]:
        return {
            "name": f"{pool}:{slot}",
            "slot": slot,
            "pid": 4000 + number,
            "state": "running",
            "healthy": True,
            "epoch": self.epoch if number < self.rolled else None,
            "job": self.job,
        }
