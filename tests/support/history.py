"""Histories: what happened to a host, when, and what the core did about it, as a text that can be read aloud.

A line is `INSTANT EVENT | WHAT CAME OF IT`.  Until the instant, time passes: what is due meanwhile is written with an
instant of its own (`@12.5 kill m:0.1`).  A run is called by its slot and its number there: `m:0.2` is the second run in
slot 0 of pool `m`.  An order to start is answered at once, in the directory that `dir` pointed to last, unless `spawns`
says otherwise.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from fleetd.core.chance import Chance
from fleetd.core.decide import decide, next_deadline
from fleetd.core.effects import Announce, Effect, Finish, Forget, KillTree, Record, Remember, Signal, Spawn
from fleetd.core.events import (
    AskedForTime,
    Event,
    Exited,
    JobReported,
    MemorySampled,
    PauseRequested,
    ProcessGone,
    RestartRequested,
    Restored,
    ResumeRequested,
    SaidAlive,
    SaidReady,
    SaidStatus,
    SaidStopping,
    ScaleRequested,
    ShutdownRequested,
    SignalLost,
    Source,
    Spawned,
    SpawnFailed,
    SpecChanged,
    StartRequested,
    StopRequested,
    Target,
    Tick,
)
from fleetd.core.facts import Fact, Kind
from fleetd.core.invariants import violations
from fleetd.core.records import Remembered, RunRecord
from fleetd.core.spec import Amount, Backoff, FleetSpec, GiveUp, Launch, LineMeaning, PoolSpec, Ready, Restart
from fleetd.core.state import Moment, Run, State

UNIX = 1_790_000_000.0
TOLD = {
    Kind.JOB_INTERRUPTED: "interrupted",
    Kind.WORKER_HEALTHY: "healthy",
    Kind.WORKER_START_FAILED: "start-failed",
    Kind.WORKER_CRASH_LOOP: "crash-loop",
    Kind.WORKER_GIVEN_UP: "given-up",
    Kind.WORKER_SPINNING: "spinning",
    Kind.WORKER_ADOPTED: "adopted",
    Kind.POOL_REMOVED: "removed",
    Kind.ROLLOUT_DONE: "rolled",
}


def amount(value: int | str) -> Amount:
    """2, or "50%"."""
    return Amount(share=int(value[:-1]) / 100) if isinstance(value, str) else Amount(value)


READ: Mapping[str, Callable[[Any], Any]] = {
    "max_surge": amount,
    "max_unavailable": amount,
    "ready": Ready,
    "restart": Restart,
    "exit_codes": lambda value: frozenset(value if isinstance(value, list) else [value]),
    "after": tuple,
    "backoff": lambda value: Backoff(**value),
    "give_up": lambda value: GiveUp(**value),
    "exit_reasons": lambda value: {int(code): reason for code, reason in value.items()},
}
NAMES = frozenset(PoolSpec.__struct_fields__)


def pool_spec(name: str, values: Mapping[str, Any]) -> PoolSpec:
    """A pool from the table of a history; its backoff has no spread worth speaking of unless it says so."""
    kept = {key.replace("-", "_"): value for key, value in values.items()}
    command = kept.pop("command", "worker")
    assert kept.keys() <= NAMES, kept.keys() - NAMES
    return PoolSpec(name, Launch((command,)), **{k: READ.get(k, lambda v: v)(v) for k, v in kept.items()})


@dataclass
class Host:
    """One host whose clock stands at 0."""

    pools: dict[str, PoolSpec]
    state: State = field(default_factory=lambda: State(Chance(7)))
    now: float = 0.0
    directory: str = "/r/1"
    spawns: str = "work"  # or "wait", or an error
    rolls: int = 0
    is_saving: bool = True  # what may be written within seconds is written at once
    names: dict[str, str] = field(default_factory=dict)  # run -> m:0.1
    journal: dict[str, RunRecord] = field(default_factory=dict)
    ordered: dict[str, Spawn] = field(default_factory=dict)
    disk: Remembered = field(default_factory=Remembered)
    told: list[str] = field(default_factory=list)

    # -- playing -----------------------------------------------------------------------------------------------------

    def play(self, line: str) -> str:
        """Let a line happen; answers what came of it."""
        self.told = []
        instant, what, *words = shlex.split(line)
        self._wait(float(instant))
        for event in self._events(what, words):
            self._step(event)
        return ", ".join(self.told)

    def _wait(self, until: float) -> None:
        for _ in range(100_000):
            due = next_deadline(self.state)
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self._step(Tick(), prefix=f"@{self.now:.4g} ")
        self.now = max(self.now, until)

    def _step(self, event: Event, prefix: str = "") -> None:
        queue = [event]
        while queue:
            effects = decide(self.state, queue.pop(0), Moment(self.now, UNIX + self.now))
            broken = violations(self.state)
            assert not broken, broken
            for effect in effects:
                queue += self._perform(effect, prefix)

    def _perform(self, effect: Effect, prefix: str) -> Iterator[Event]:
        match effect:
            case Spawn():
                self._name(effect)
                pinned = "" if effect.directory is None else f" in {effect.directory}"
                command = effect.launch.command[0]
                other = "" if command == "worker" else f" as {command}"
                self.told.append(f"{prefix}start {self.names[effect.run]}{other}{pinned}")
                self.ordered[effect.run] = effect
                yield from self._answer(effect)
            case Signal():
                name = "term" if effect.signal == 15 else f"signal-{effect.signal}"
                self.told.append(f"{prefix}{name} {self.names[effect.run]}")
            case KillTree():
                self.told.append(f"{prefix}kill {self.names[effect.run]}")
            case Finish():
                self.told.append(f"{prefix}finish")
            case Announce():
                self.told += [f"{prefix}{text}" for text in _tell(effect.fact)]
            case Record():
                self.journal[effect.record.run] = effect.record
            case Remember() if self.is_saving or not effect.lazily:
                self.disk = self.state.remembered_now()
            case Forget():
                del self.journal[effect.run]
            case _:
                pass

    def _name(self, order: Spawn) -> None:
        worker = f"{order.pool}:{order.slot}."
        number = 1 + sum(1 for name in self.names.values() if name.startswith(worker))
        self.names[order.run] = f"{worker}{number}"

    def _answer(self, order: Spawn) -> Iterator[Event]:
        if self.spawns == "wait":
            return
        del self.ordered[order.run]
        if self.spawns == "work":
            yield Spawned(order.run, 100 + len(self.names), order.directory or self.directory)
        else:
            yield SpawnFailed(order.run, self.spawns)

    # -- reading events ----------------------------------------------------------------------------------------------

    def _events(self, what: str, words: list[str]) -> Iterator[Event]:
        if what in OF_RUNS:
            name, *rest = words
            yield OF_RUNS[what](self._run(name), *rest)
        elif what in OF_TARGETS:
            now = {"now": True} if "--now" in words else {}
            yield OF_TARGETS[what](tuple(_target(word) for word in words if word != "--now"), **now)
        else:
            yield from getattr(self, f"_do_{what.replace('-', '_')}")(*words)

    def _run(self, name: str) -> str:
        return next((run for run, known in self.names.items() if known == name), name)

    def _do_wait(self) -> Iterator[Event]:
        yield from ()

    def _do_files(self) -> Iterator[Event]:
        self.rolls += 1
        yield SpecChanged(FleetSpec(dict(self.pools)), self.rolls)

    def _do_reload(self, pool: str, *changes: str) -> Iterator[Event]:
        """`reload m numprocs=3 command=v2`, `reload -m` (gone), `reload +m numprocs=2` (new)."""
        values: dict[str, Any] = {}
        for key, _, value in (change.partition("=") for change in changes):
            values[key.replace("-", "_")] = int(value) if value.isdigit() else value
        name = pool.lstrip("+-")
        if pool.startswith("-"):
            del self.pools[name]
        elif pool.startswith("+"):
            self.pools[name] = pool_spec(name, values)
        else:
            launch = {"launch": Launch((values.pop("command"),))} if "command" in values else {}
            changed = {k: READ.get(k, lambda v: v)(v) for k, v in values.items()}
            self.pools[name] = replace(self.pools[name], **changed, **launch)
        yield from self._do_files()

    def _do_restart(self, *words: str) -> Iterator[Event]:
        self.rolls += 1
        targets = tuple(_target(word) for word in words if word != "--now")
        yield RestartRequested(self.rolls, targets, now="--now" in words)

    def _do_scale(self, pool: str, numprocs: str) -> Iterator[Event]:
        yield ScaleRequested(pool, int(numprocs))

    def _do_shutdown(self, *words: str) -> Iterator[Event]:
        yield ShutdownRequested(now="--now" in words)

    def _do_dir(self, directory: str) -> Iterator[Event]:
        self.directory = directory
        yield from ()

    def _do_spawns(self, how: str) -> Iterator[Event]:
        self.spawns = how
        yield from (event for order in list(self.ordered.values()) for event in self._answer(order))

    def _do_saves(self, how: str) -> Iterator[Event]:
        """`saves late`: what may be written within seconds is lost when the daemon is killed."""
        self.is_saving = how == "early"
        yield from ()

    def _do_daemon_killed(self) -> Iterator[Event]:
        """SIGKILL; the next daemon has the journal and what was remembered."""
        self.state = State(Chance(8))
        yield Restored(self.disk, tuple(self.journal.values()))
        yield from self._do_files()

    # -- looking -----------------------------------------------------------------------------------------------------

    def final(self) -> dict[str, str]:
        """What stands in every slot, every pool's rollout, and when the daemon will wake up."""
        seen: dict[str, str] = {}
        for pool in self.state.pools.values():
            for slot in pool.slots.values():
                runs = " + ".join(self._brief(run) for run in slot.runs())
                marks = [m for m in ("stopped", "paused", "finished", "given_up", "in_backoff") if getattr(slot, m)]
                seen[f"{pool.name}:{slot.index}"] = " ".join([runs or "empty", *marks])
            if pool.roll is not None:
                error = pool.roll.error
                seen[f"{pool.name} roll"] = pool.roll.state + (f": {error.worker} {error.reason}" if error else "")
        seen["wakes"] = str(next_deadline(self.state))
        return seen

    def _brief(self, run: Run) -> str:
        return f"{self.names[run.id]} {run.phase} {run.directory}"


OF_RUNS: Mapping[str, Callable[..., Event]] = {
    "exit": lambda run, code, *rest: Exited(
        run,
        None if code in {"oom", "unknown"} or code.startswith("sig") else int(code),
        9 if code == "oom" else int(code[3:]) if code.startswith("sig") else None,
        oom=code == "oom",
        last_lines=tuple(rest),
    ),
    "job": lambda run, meaning, name="x": JobReported(run, LineMeaning(meaning), Source.OUTPUT, id=name or None),
    "socket-job": lambda run, meaning, name="x": JobReported(run, LineMeaning(meaning), Source.SOCKET, id=name),
    "child-job": lambda run, name, pid: JobReported(run, LineMeaning.STARTED, Source.SOCKET, id=name, process=int(pid)),
    "gone": lambda run, pid: ProcessGone(run, int(pid)),
    "ready": lambda run: SaidReady(run, Source.SOCKET),
    "unheard": SignalLost,
    "ready-line": lambda run: SaidReady(run, Source.OUTPUT),
    "alive": SaidAlive,
    "stopping": SaidStopping,
    "says": SaidStatus,
    "extend": lambda run, seconds: AskedForTime(run, float(seconds)),
    "memory": lambda run, size: MemorySampled({run: int(size)}),
}
OF_TARGETS: Mapping[str, Callable[..., Event]] = {
    "start": StartRequested,
    "stop": StopRequested,
    "pause": PauseRequested,
    "resume": ResumeRequested,
}


def _target(word: str) -> Target:
    pool, _, slot = word.partition(":")
    return Target(pool, int(slot) if slot else None)


def _tell(fact: Fact) -> Iterator[str]:
    about = fact.worker or fact.pool
    if fact.kind is Kind.WORKER_EXITED:
        yield f"ended {about} {fact.fields['reason']}{'' if fact.fields['planned'] else ' unplanned'}"
    elif fact.kind is Kind.WORKER_BACKOFF:
        yield f"backoff {about} {fact.fields['failures']}"
    elif fact.kind is Kind.ROLLOUT_HALTED:
        yield f"halted {about}: {fact.fields['reason']}"
    elif fact.kind in TOLD:
        yield f"{TOLD[fact.kind]} {about}"
