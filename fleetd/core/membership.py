"""What a host knows of its fleet: the epochs that it has seen, and where it stands with the coordinator.

Holds no rule: only values, and questions that they can answer about themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from fleetd.core.epochs import Epochs, applying_to, keys_for, keys_of
from fleetd.core.records import FleetMemory
from fleetd.core.rollout import Rollout
from fleetd.core.spec import Seconds


class Membership(Struct):
    """A daemon's place in its fleet.

    `epochs` are the greatest values that were believed, by the key's text; they outlive the daemon, as do `refused`,
    `paused` and `incarnation`.  `turn_until` is on this host's monotonic clock.
    """

    fleet: str
    host: str
    member: str  # HOST/INSTANCE
    machine: str = ""
    epochs: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # texts that were not believed, and are not later
    paused: frozenset[str] = frozenset()
    incarnation: str = ""
    is_known: bool = False  # the coordinator has answered since the daemon was started
    connected: bool = False
    since: float | None = None  # Unix seconds: connected, or not, since then
    held_by_other: bool = False
    turn_until: Seconds | None = None
    rollouts: dict[int, Rollout] = field(default_factory=dict)  # as last seen: those that run or are halted
    rolled_at: dict[str, Seconds] = field(default_factory=dict)  # when a pool last began to follow an epoch

    def has_turn(self, now: Seconds) -> bool:
        """Whether this host may replace workers for the fleet now."""
        return self.turn_until is not None and now < self.turn_until

    def epochs_of(self, pool: str) -> Epochs:
        """The values that apply to the workers of a pool here, as far as is known."""
        return applying_to(self.host, pool, self.epochs)

    def epochs_for_new(self, pool: str) -> Epochs | None:
        """What a worker that starts now is started under; None while nobody knows."""
        return self.epochs_of(pool) if self.is_known else None

    def values(self, pools: Iterable[str]) -> Mapping[str, int]:
        """Every key that applies here, and its value, 0 where there was none."""
        return {text: self.epochs.get(text, 0) for text in map(str, keys_of(self.host, pools))}

    def is_paused(self, pool: str) -> bool:
        """Whether the fleet holds the pool here."""
        held = {f"host:{self.host}", f"pool:{pool}", f"host:{self.host}:pool:{pool}"}
        return not held.isdisjoint(self.paused)

    def learn(self, pool: str, epochs: Epochs) -> None:
        """Know of the epochs that a worker was started under: the file of what is remembered may be lost."""
        for key in keys_for(self.host, pool):
            value = epochs.of(key)
            if value > self.epochs.get(str(key), 0):
                self.epochs[str(key)] = value

    def memory(self) -> FleetMemory:
        """What must outlive the daemon."""
        return FleetMemory(
            fleet=self.fleet,
            machine=self.machine,
            epochs=dict(self.epochs),
            refused=dict(self.refused),
            paused=tuple(sorted(self.paused)),
            incarnation=self.incarnation,
        )

    def remember(self, memory: FleetMemory) -> bool:
        """Take over what an earlier daemon remembered; whether it is of the same fleet, on the same machine."""
        is_ours = (memory.fleet, memory.machine) == (self.fleet, self.machine)
        if is_ours:
            self.epochs = dict(memory.epochs)
            self.refused = dict(memory.refused)
            self.paused = frozenset(memory.paused)
            self.incarnation = memory.incarnation
        return is_ours
