"""A world for the core: simulated workers that obey, ignore, crash or answer late, an operator, and a daemon that dies.

It carries effects out as the shell does (Record and Remember survive the daemon, a Spawn is answered later), and checks
after every step that nothing is lost, doubled, or drained without a replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from fleetd.core.chance import Chance
from fleetd.core.decide import decide, next_deadline
from fleetd.core.effects import Effect, Finish, Forget, KillTree, Record, Remember, Signal, Spawn
from fleetd.core.events import (
    Event,
    Exited,
    JobReported,
    RestartRequested,
    Restored,
    ResumeRequested,
    SaidReady,
    ShutdownRequested,
    Source,
    Spawned,
    SpawnFailed,
    SpecChanged,
    StartRequested,
    Target,
    Tick,
)
from fleetd.core.invariants import violations
from fleetd.core.membership import Membership
from fleetd.core.reconcile import is_wanted
from fleetd.core.records import Remembered, RunRecord
from fleetd.core.spec import FleetSpec, LineMeaning
from fleetd.core.state import Moment, Phase, Reason, Run, State

UNIX = 1_790_000_000.0
TERM, KILL = 15, 9
MOST_TICKS = 5  # at one instant: a worker may become healthy and be too old at once, but not for ever
WITH_REPLACEMENT = frozenset({Reason.RESTART, Reason.MAX_LIFETIME, Reason.MAX_MEMORY})


@dataclass
class Worker:
    """A process of the world."""

    run: str
    pool: str
    directory: str
    pid: int
    told: bool = False  # it got its drain signal
    killed: bool = False
    deaf: bool = False  # it ignores the drain signal


class World:
    """One host: a daemon, its workers, and what is on its disk."""

    def __init__(
        self,
        spec: FleetSpec,
        *,
        seed: int = 1,
        membership: Callable[[], Membership | None] = lambda: None,
        meet: Callable[[World], None] = lambda _: None,
        now: float = 1000.0,
    ) -> None:
        """`membership` gives a daemon its place in a fleet; `meet` is what it does before it starts workers."""
        self.spec = spec
        self.membership = membership
        self.meet = meet
        self.now = now
        self.state = State(Chance(seed), fleet=membership())
        self.ordered: dict[str, Spawn] = {}  # spawns that are not answered yet
        self.workers: dict[str, Worker] = {}
        self.journal: dict[str, RunRecord] = {}
        self.disk = Remembered()
        self.directory = "/releases/1"  # what the symlink points to
        self.broken: frozenset[str] = frozenset()  # the releases whose workers crash
        self.finished = False
        self.forgotten: list[str] = []
        self._last_exit: tuple[float, RunRecord, Worker, Exited] | None = None
        self.rolls = 0
        self._pids = 100
        self._seed = seed
        self.meet(self)
        self.step(SpecChanged(spec))

    # -- the daemon --------------------------------------------------------------------------------------------------

    def step(self, event: Event, *, saves: bool = True) -> list[Effect]:
        """Let the core decide about an event, carry the effects out, and check every promise."""
        by_roll = not isinstance(event, RestartRequested) or not event.now
        effects = decide(self.state, event, Moment(self.now, UNIX + self.now))
        for effect in effects:
            self._perform(effect, saves=saves)
        broken = violations(self.state)
        assert not broken, broken
        real = self.ordered.keys() | self.workers.keys()
        assert self.state.runs.keys() == real, "what the core believes to run is not what runs"
        if by_roll:
            self._check_drained(effects)
        return effects

    def _perform(self, effect: Effect, *, saves: bool) -> None:
        match effect:
            case Spawn():
                assert self.journal[effect.run].pid is None, "the intent is written before the spawn"
                self.ordered[effect.run] = effect
            case Signal():
                worker = self.workers[effect.run]
                worker.told = worker.told or effect.signal == TERM
            case KillTree():
                self.workers[effect.run].killed = True
            case Forget():
                del self.journal[effect.run]
                self.workers.pop(effect.run, None)
                self.ordered.pop(effect.run, None)
                self.forgotten = [*self.forgotten[-8:], effect.run]
            case Record():
                self.journal[effect.record.run] = effect.record
            case Remember() if saves or not effect.lazily:
                self.disk = self.state.remembered_now()
            case Finish():
                assert not self.finished, "told to end twice"
                self.finished = True
            case _:
                pass

    def _check_drained(self, effects: list[Effect]) -> None:
        """A healthy worker that is drained for a newer one has it: alive and proven, where max-unavailable is 0."""
        for effect in effects:
            if not isinstance(effect, Signal) or effect.signal != TERM:
                continue
            run = self.state.runs.get(effect.run)
            if (
                run is None
                or run.phase is not Phase.DRAINING
                or not run.was_healthy
                or run.ending not in WITH_REPLACEMENT
            ):
                continue
            pool = self.state.pools[run.pool]
            is_now = pool.roll is not None and pool.roll.now
            if pool.spec.max_unavailable.of(pool.numprocs) or pool.spec.max_surge.of(pool.numprocs) == 0 or is_now:
                continue
            slot = pool.slots[run.slot]
            assert slot.run is not None, f"{run.worker} was drained ({run.ending}) and nothing takes its place"
            assert slot.takes_jobs or slot.came_up, f"{run.worker} was drained for a run that has proved nothing"

    def die_in(self, event: Event, after: Callable[[Effect], bool]) -> None:
        """SIGKILL the daemon while it carries out what it decided about an event, after the first such effect."""
        for effect in decide(self.state, event, Moment(self.now, UNIX + self.now)):
            self._perform(effect, saves=True)
            if after(effect):
                break
        self.die_and_start_again(intents_lost=False)

    def die_and_start_again(self, *, intents_lost: bool, exit_is_lost: bool = False) -> None:
        """SIGKILL the daemon; what the keeper holds and what is on disk is all that the next one knows.

        `exit_is_lost`: that the last worker ended, within the last second, was not written down, and is told again.
        """
        again = self._last_exit if exit_is_lost and self._last_exit and self.now - self._last_exit[0] < 1 else None
        if again is not None:
            _, record, worker, _ = again
            self.journal[record.run], self.workers[record.run] = replace(record, ended=True), worker
        for run in list(self.ordered):
            if intents_lost:  # they never reached the keeper
                del self.ordered[run], self.journal[run]
        self._seed += 1
        self.state = State(Chance(self._seed), fleet=self.membership())
        records = []
        for run, record in self.journal.items():
            worker = self.workers.get(run)
            held = record if worker is None else replace(record, pid=worker.pid, directory=worker.directory)
            records.append(held)
        decide(self.state, Restored(self.disk, tuple(records)), Moment(self.now, UNIX + self.now))
        self.meet(self)
        self.step(SpecChanged(self.spec))
        if again is not None:
            self._last_exit = None
            self.step(again[3])

    # -- time --------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass, with a Tick whenever one is due."""
        until, ticks = self.now + seconds, 0
        while (due := next_deadline(self.state)) is not None and due <= until:
            ticks = ticks + 1 if due <= self.now else 0
            assert ticks < MOST_TICKS, "the loop would spin: a deadline that has passed is still due"
            self.now = max(self.now, due)
            self.step(Tick())
        self.now = until

    # -- workers -----------------------------------------------------------------------------------------------------

    def answer_spawn(self, run: str, *, error: str | None = None, deaf: bool = False) -> None:
        """The keeper answers an order."""
        order = self.ordered[run]
        if error is not None:
            self.step(SpawnFailed(run, error))
            return
        del self.ordered[run]
        self._pids += 1
        directory = order.directory or self.directory
        self.workers[run] = Worker(run, order.pool, directory, self._pids, deaf=deaf)
        self.step(Spawned(run, self._pids, directory))

    def exit(self, run: str, code: int | None = 0, signal: int | None = None) -> None:
        """A worker ends."""
        exit_ = Exited(run, code, signal, last_lines=(f"{run[:4]} ended",))
        self._last_exit = self.now, self.journal[run], self.workers[run], exit_
        self.step(exit_)

    def job(self, run: str, meaning: LineMeaning, job: str, source: Source = Source.OUTPUT) -> None:
        """A worker tells of a job."""
        self.step(JobReported(run, meaning, source, id=job))

    def new_roll(self) -> int:
        """A number for a rollout."""
        self.rolls += 1
        return self.rolls

    # -- when all goes well ------------------------------------------------------------------------------------------

    def cooperate(self) -> None:
        """Every worker comes up and obeys from now on; the operator lifts what holds the pools, and restarts them."""
        targets = tuple(Target(name) for name, pool in self.state.pools.items() if not pool.removed)
        self.step(StartRequested(targets))
        self.step(ResumeRequested(targets))
        self.directory = "/releases/good"
        self.step(RestartRequested(self.new_roll(), targets))
        self._let_all_act()

    def shut_down(self) -> None:
        """End the daemon."""
        self.step(ShutdownRequested())
        self._let_all_act()

    def _let_all_act(self) -> None:
        for _ in range(1000):
            self.let_each_act()
            if self._someone_can_act():
                continue
            due = next_deadline(self.state)
            if due is None or self._is_settled():
                return
            self.wait(max(0.0, due - self.now))
        raise AssertionError(f"the world cooperated, and it came to no rest: {self.unmet()}")

    def let_each_act(self) -> None:
        """Every worker does what it does at once: comes up, obeys, or, from a broken release, crashes."""
        for run in list(self.ordered):
            self.answer_spawn(run)
        for run, worker in list(self.workers.items()):
            if worker.killed:
                self.exit(run, None, KILL)
            elif worker.told and not worker.deaf:
                self.exit(run, 0)
            elif worker.directory in self.broken:
                self.exit(run, 1)
            elif self.state.runs[run].phase is Phase.STARTING:
                self.step(SaidReady(run, Source.SOCKET))

    def _someone_can_act(self) -> bool:
        return bool(self.ordered) or any(w.killed or (w.told and not w.deaf) for w in self.workers.values())

    def _is_settled(self) -> bool:
        return self.finished or not (
            self.state.is_stopping or self.unmet() or any(w.told for w in self.workers.values())
        )

    def unmet(self) -> list[str]:
        """What is still not as it should be once the world has cooperated."""
        told = []
        for pool in self.state.pools.values():
            if pool.roll is not None and pool.roll.is_running:
                told.append(f"{pool.name}: its rollout goes on: {pool.roll}")
            for slot in pool.slots.values():
                run = slot.run
                if not is_wanted(self.state, pool, slot):
                    told.append(f"{pool.name}:{slot.index}: is not wanted: {slot}")
                elif run is None or not run.takes_jobs:
                    told.append(
                        f"{pool.name}:{slot.index}: has no healthy worker, but {list(map(_brief, slot.runs()))}"
                    )
                elif run.release is not pool.release or run.directory != self.directory:
                    told.append(f"{pool.name}:{slot.index}: runs an old release")
        return told


def _brief(run: Run) -> str:
    return f"{run.id[:4]} {run.phase} {run.ending or ''}"
