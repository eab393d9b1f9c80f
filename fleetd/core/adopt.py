"""Taking over what an earlier daemon left: its runs, the operator's wishes, an unfinished rollout."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from fleetd.core import actions, halting, rolling, unheard
from fleetd.core.epochs import Epochs
from fleetd.core.facts import Kind
from fleetd.core.jobs import key_without_id
from fleetd.core.records import PoolMemory, RollRecord, RunRecord
from fleetd.core.roll import Release, Roll, RollError, RollState
from fleetd.core.spec import Launch, PoolSpec, Ready, Seconds
from fleetd.core.state import Job, Moment, Phase, Pool, Reason, Run, Slot
from fleetd.core.turn import Turn

UNDATED = -1  # the generation of a run whose record was lost


def without_fleet(
    pools: Mapping[str, PoolMemory], runs: tuple[RunRecord, ...]
) -> tuple[Mapping[str, PoolMemory], tuple[RunRecord, ...]]:
    """The same without epochs: this host is in no fleet, or in another one, where they mean nothing."""
    rolls = {
        name: None if memory.roll is None else replace(memory.roll, epoch=None, resumes=0, epochs=())
        for name, memory in pools.items()
    }
    alone = {name: replace(memory, epochs=None, roll=rolls[name]) for name, memory in pools.items()}
    return alone, tuple(replace(run, epochs=None) for run in runs)


def dated(pools: Mapping[str, PoolMemory], runs: tuple[RunRecord, ...]) -> tuple[RunRecord, ...]:
    """The same, with a generation for those whose record was lost: the one that their slot had when last remembered."""
    return tuple(
        replace(run, generation=_generation(pools.get(run.pool), run.slot)) if run.generation == UNDATED else run
        for run in runs
    )


def _generation(memory: PoolMemory | None, slot: int) -> int:
    if memory is None:
        return 0
    return memory.generation - (memory.roll is not None and slot in memory.roll.pending)


def remember(pool: Pool, memory: PoolMemory) -> None:
    """Give a pool back what is remembered of it; a scaling holds while the file's numprocs is the same."""
    pool.wish = memory.stopped
    if memory.stopped is not None:
        pool.stopped = memory.stopped
    pool.paused = memory.paused
    pool.ledger.restore(memory.counters)
    if memory.scaled_to is not None and memory.scaled_from == pool.spec.numprocs:
        pool.numprocs, pool.scaled_from = memory.scaled_to, memory.scaled_from
    pool.release = Release(memory.generation, pool.spec, memory.epochs)
    pool.slots = {index: Slot(index, pool.release) for index in memory.slots}


def restore_slots(pool: Pool, memory: PoolMemory) -> None:
    """Give the slots back which of them the operator had stopped."""
    for index, slot in pool.slots.items():
        slot.stopped = index in memory.stopped_slots or (pool.stopped and index not in memory.started_slots)
        slot.paused = pool.paused or index in memory.paused_slots


def take_over(turn: Turn, record: RunRecord) -> None:
    """Put a run that still lives (or whose exit is about to be told) into its slot."""
    pool = turn.state.pools.get(record.pool) or _unknown_pool(turn, record)
    slot = pool.slots.get(record.slot)
    if slot is None:
        slot = pool.slots[record.slot] = Slot(record.slot, pool.release, stopped=pool.stopped, retiring=True)
    if turn.state.fleet is not None and record.epochs is not None:
        turn.state.fleet.learn(pool.name, record.epochs)
    run = _revive(turn, pool, record)
    turn.state.runs[run.id] = run
    pool.alive += 1
    slot.starts += 1
    slot.last_start = run.spawned
    _place(pool, slot, run)
    if record.spawned is None and record.pid is not None:
        turn.record(run)  # by an earlier version, or lost: what it lacks is known now
    turn.touch(pool.name, slot.index)
    turn.tell(Kind.WORKER_ADOPTED, pool.name, slot.index, {"pid": run.pid, "run": run.id, "phase": run.phase})


def _unknown_pool(turn: Turn, record: RunRecord) -> Pool:
    """A pool that is no longer in the files: its workers are drained."""
    name, stop_signal, stop_timeout = record.pool, record.stop_signal, record.stop_timeout
    spec = PoolSpec(name, Launch(()), numprocs=0, stop_signal=stop_signal, stop_timeout=stop_timeout)
    pool = Pool(spec, Release(0, spec), 0, removed=True)
    turn.state.pools[name] = pool
    return pool


def _revive(turn: Turn, pool: Pool, record: RunRecord) -> Run:
    now = turn.now
    if record.generation > pool.release.generation:  # what is remembered is older than the journal, or lost
        _renew(pool, Release(record.generation, pool.spec, record.epochs))
    is_newest = (record.generation, record.epochs) == (pool.release.generation, pool.release.epochs)
    release = pool.release if is_newest else Release(record.generation, pool.spec, record.epochs)
    run = Run(
        id=record.run,
        pool=record.pool,
        slot=record.slot,
        release=release,
        spawned=_instant(now, record.spawned, record.started_at),
        started_at=record.started_at,
        pid=record.pid,
        directory=record.directory,
        was_healthy=record.healthy,
        is_over=record.ended,
        ending=Reason(record.ending) if record.ending else None,
        told_to_end=record.ending is not None and record.told_to_end is not False,
        signal_lost=record.signal_lost,
        start_by=now.mono + pool.spec.start_timeout,
        max_jobs=record.max_jobs,
        jitter=record.jitter,
        by_socket=record.jobs_by_socket,
        jobs_done=record.jobs_done,
        jobs_failed=record.jobs_failed,
        jobs_released=record.jobs_released,
        finished=list(record.jobs_finished),
        tells_starts=record.tells_starts,
        paused=record.paused,
    )
    actions.draw_limits(turn, run)
    for job in record.jobs_in_hand:
        started = _instant(now, job.started, job.started_at)
        key = job.id or key_without_id(run, job.name)
        run.jobs[key] = Job(job.id, job.name, job.queue, started, job.started_at, job.process, job.may_be_over)
    run.phase = _phase(record)
    if run.is_leaving:
        run.kill_at, run.drained_since = now.mono + pool.spec.stop_timeout, now.mono
        unheard.watch(run, now.mono)
    elif run.phase is Phase.HEALTHY:
        run.alive_since = now.mono
    elif record.ready or pool.spec.ready is Ready.AGE:
        run.ready_since = run.spawned
    return run


def _instant(now: Moment, mono: Seconds | None, unix: float) -> Seconds:
    """When something was, on the clock that no correction changes: a set clock must not make a job look overdue."""
    return now.mono - max(0.0, now.unix - unix) if mono is None else min(mono, now.mono)


def _renew(pool: Pool, release: Release) -> None:
    for slot in pool.slots.values():
        if slot.release is pool.release:
            slot.release = release
    pool.release = release


def _phase(record: RunRecord) -> Phase:
    if record.pid is None:
        return Phase.SPAWNING
    if record.ended:
        return Phase.KILLED
    if record.ending:
        return Phase.DRAINING
    return Phase.HEALTHY if record.healthy else Phase.STARTING


def _place(pool: Pool, slot: Slot, run: Run) -> None:
    if run.is_leaving:
        slot.draining.append(run)
    elif slot.run is None:
        slot.run = run
    else:
        _place_both(pool, slot, slot.run, run)
    slot.directory = (slot.run or run).directory


def _place_both(pool: Pool, slot: Slot, *runs: Run) -> None:
    older, newer = sorted(runs, key=lambda run: (run.spawned, not run.is_over))
    if older.is_over:  # the daemon was killed before it had written down that this one was over
        slot.draining.append(older)
        slot.run = newer
    else:  # it was killed between the start of a new run and the drain of the old one
        slot.run, slot.successor = sorted(
            runs, key=lambda run: (run.was_healthy, -run.release.generation), reverse=True
        )
        pool.surging.add(slot.index)


def resume_roll(turn: Turn, pool: Pool, record: RollRecord) -> None:
    """Go on with an unfinished rollout; a halted one stays halted, and its slots keep what they had."""
    pending = _still_pending(pool, record)
    state = RollState.RUNNING if record.epoch is None else RollState.WAITING
    roll = Roll(
        record.epoch or halting.ALONE,
        pool.release,
        frozenset(pool.slots if record.halted else pending),
        pending,
        turn.now.mono,
        label="resumed" if record.epoch is None else record.label,
        now=record.now,
        epoch=record.epoch,
        resumes=record.resumes,
        state=RollState.HALTED if record.halted else state,
        halted_elsewhere=record.halted_elsewhere,
    )
    for index in pending:
        turn.touch(pool.name, index)
    if not record.halted:
        rolling.follow(turn, pool, roll)
        rolling.go_on_with_successors(turn, pool, roll)
        return
    why = record.error or "halted before the daemon was started again"
    roll.error = RollError(record.failed or pool.name, why, record.lines)
    pool.roll = roll


def give_up_successors(turn: Turn) -> None:
    """Drain the new runs that no rollout goes on with: why they were started is not known any more."""
    for pool in turn.state.pools.values():
        for index in sorted(pool.surging - (pool.roll.active if pool.roll is not None else set())):
            slot = pool.slots[index]
            if slot.successor is not None:
                actions.leave(turn, pool, slot, slot.successor, Reason.RESTART)


def _still_pending(pool: Pool, record: RollRecord) -> set[int]:
    """The slots that are not rolled, each with what it had: release, epochs and directory."""
    directories = dict(zip(record.pending, record.directories, strict=False))
    epochs = dict(zip(record.pending, record.epochs, strict=False))
    had: dict[Epochs | None, Release] = {}
    pending: set[int] = set()
    for slot in (pool.slots[i] for i in record.pending if i in pool.slots):
        run = slot.run
        is_new = run is not None and run.release is pool.release
        if run is not None and is_new and run.was_healthy:
            continue  # its turn was over when the daemon died, only not yet written down
        pending.add(slot.index)
        then = epochs.get(slot.index)
        old = had.setdefault(then, Release(record.generation - 1, pool.spec, then))
        slot.release = run.release if run is not None and not is_new else old
        slot.directory = directories.get(slot.index, slot.directory)
    return pending
