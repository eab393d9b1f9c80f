"""One step of the core: what it works on, and what has come of it so far."""

from __future__ import annotations

from collections.abc import Mapping

from fleetd.core.effects import Announce, Effect, Forget, Record
from fleetd.core.facts import Fact, Kind, Value
from fleetd.core.state import NO_SLOT, Moment, Pool, Run, State


class Turn:
    """One step of the core: the state, now, and the effects so far."""

    __slots__ = (
        "dirty",
        "effects",
        "ended_jobs",
        "looked_at",
        "must_remember",
        "now",
        "over",
        "remembers_now",
        "state",
    )

    def __init__(self, state: State, now: Moment) -> None:
        self.state = state
        self.now = now
        self.effects: list[Effect] = []
        self.over: list[Forget] = []
        self.dirty: dict[tuple[str, int], None] = {}
        self.looked_at: set[tuple[str, int]] = set()  # slots that the rules have looked at
        self.ended_jobs: list[tuple[str, str | None, bool]] = []  # pool, queue, and whether it failed
        self.must_remember = False
        self.remembers_now = False

    def emit(self, effect: Effect) -> None:
        """Add an effect."""
        self.effects.append(effect)

    def forget(self, run: Run) -> None:
        """Have let go of a run that is over, after all else of this step: its successor is not to wait for it."""
        self.over.append(Forget(run.id))

    def record(self, run: Run) -> None:
        """Have written down where a run stands."""
        self.emit(Record(run.record()))

    def tell(self, kind: Kind, pool: str, slot: int | None = None, fields: Mapping[str, Value] | None = None) -> None:
        """Announce a fact about a pool or one of its workers."""
        worker = None if slot is None else f"{pool}:{slot}"
        self.emit(Announce(Fact(kind, pool, worker, fields or {})))

    def remember_now(self) -> None:
        """Have what must outlive the daemon written down at once, whatever the event."""
        self.must_remember = self.remembers_now = True

    def touch(self, pool: str, slot: int) -> None:
        """Have the rules look at a slot before this step ends."""
        self.dirty[pool, slot] = None

    def touch_all(self, pool: Pool) -> None:
        """Have the rules look at a pool and every slot of it."""
        self.dirty[pool.name, NO_SLOT] = None
        for index in pool.slots:
            self.dirty[pool.name, index] = None
