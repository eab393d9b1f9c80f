"""What can be done to a run: start it, ask it to end, kill it, pause it.

Each changes the run and emits the effects; whether to do it is decided elsewhere.
"""

from __future__ import annotations

from fleetd.core.effects import KillTree, Signal, Spawn
from fleetd.core.facts import Kind
from fleetd.core.roll import Release, Roll
from fleetd.core.spec import Seconds
from fleetd.core.state import Phase, Pool, Reason, Run, Slot
from fleetd.core.turn import Turn

FIRST = "first"  # led to a start: nothing that this daemon has seen, as at its own start
NOW_TIMEOUT: Seconds = 5.0  # how long `--now` waits after the stop signal


def spawn(turn: Turn, pool: Pool, slot: Slot, release: Release, directory: str | None) -> Run:
    """Order a run of `release` in `slot`; `directory` pins where it runs."""
    now, chance, spec = turn.now, turn.state.chance, release.spec
    run = Run(
        id=chance.run_id(),
        pool=pool.name,
        slot=slot.index,
        release=release,
        spawned=now.mono,
        started_at=now.unix,
    )
    if spec.max_jobs is not None:
        run.max_jobs = spec.max_jobs + int(chance.uniform() * (spec.max_jobs_jitter + 1))
    draw_limits(turn, run)
    turn.state.runs[run.id] = run
    pool.alive += 1
    slot.starts += 1
    led_to_it = _led_to_a_start(slot)
    pool.starts[led_to_it] = pool.starts.get(led_to_it, 0) + 1
    slot.last_start = now.mono
    slot.retry_at = None
    slot.in_backoff = False
    turn.record(run)
    turn.emit(
        Spawn(
            run.id,
            pool.name,
            slot.index,
            spec.launch,
            directory,
            release.epoch,
            run.max_jobs,
            release.generation,
            spec.start_timeout,
        )
    )
    return run


def _led_to_a_start(slot: Slot) -> str:
    """The reason of the exit that a run which is started now follows, or is to bring about; else FIRST."""
    if slot.run is not None:
        return slot.recycle or Reason.RESTART
    if slot.draining:
        return slot.draining[-1].ending or Reason.EXIT
    return FIRST if slot.last_exit is None else slot.last_exit.reason


def draw_limits(turn: Turn, run: Run) -> None:
    """Give a run its own max-memory and max-lifetime, of whose jitter its share is drawn once."""
    spec = run.release.spec
    run.max_memory = run.lifetime_ends = None
    if spec.max_memory is None and spec.max_lifetime is None:
        return
    if run.jitter is None:
        run.jitter = turn.state.chance.uniform()
    if spec.max_memory is not None:
        run.max_memory = spec.max_memory + int(run.jitter * spec.max_memory_jitter)
    if spec.max_lifetime is not None:
        run.lifetime_ends = run.spawned + spec.max_lifetime + run.jitter * spec.max_lifetime_jitter


def drain(turn: Turn, pool: Pool, run: Run, reason: Reason, timeout: Seconds | None = None) -> None:
    """Ask a run to end: its drain signal to the main process, SIGKILL to all after the stop timeout.

    A run that is draining already keeps its reason; a shorter `timeout` still holds.
    """
    kill_at = turn.now.mono + (pool.spec.stop_timeout if timeout is None else timeout)
    if run.phase is Phase.KILLED:
        return
    if timeout is not None:
        run.ends_by = kill_at if run.ends_by is None else min(run.ends_by, kill_at)
    if run.phase is Phase.DRAINING and run.kill_at is not None:
        run.kill_at = min(run.kill_at, kill_at)
        return
    run.ending = run.ending or reason
    run.kill_at = kill_at if run.kill_at is None else min(run.kill_at, kill_at)
    turn.record(run)
    if run.phase is not Phase.SPAWNING:
        send_drain(turn, run)


def send_drain(turn: Turn, run: Run) -> None:
    """Send the drain signal to a run that lives and is to end."""
    run.phase = Phase.DRAINING
    run.drained_since = turn.now.mono
    turn.emit(Signal(run.id, run.release.spec.stop_signal))
    run.told_to_end = True
    turn.record(run)
    turn.tell(Kind.WORKER_DRAINING, run.pool, run.slot, {"reason": run.ending, "pid": run.pid, "busy": run.is_busy})


def drain_after_all(turn: Turn, run: Run) -> None:
    """Send the drain signal to a run that has begun a job, and so was not told by the daemon that meant to drain it."""
    kill_at = turn.now.mono + run.release.spec.stop_timeout
    run.kill_at = kill_at if run.ends_by is None else min(kill_at, run.ends_by)
    send_drain(turn, run)


def kill(turn: Turn, run: Run, reason: Reason) -> None:
    """SIGKILL to everything the run started; `reason` counts if it was not asked to end before."""
    run.ending = run.ending or reason
    run.phase = Phase.KILLED
    turn.record(run)
    turn.emit(KillTree(run.id))
    turn.tell(Kind.WORKER_KILLED, run.pool, run.slot, {"reason": run.ending, "pid": run.pid})


def pause(turn: Turn, run: Run) -> None:
    """Have a run take no new job, if its framework knows how."""
    signal = run.release.spec.pause_signal
    if run.takes_jobs and not run.paused and signal is not None and run.release.spec.can_pause:
        run.paused = True
        turn.record(run)
        turn.emit(Signal(run.id, signal))


def resume(turn: Turn, run: Run) -> None:
    """Have a paused run take jobs again."""
    signal = run.release.spec.resume_signal
    if run.paused and signal is not None:
        run.paused = False
        turn.record(run)
        turn.emit(Signal(run.id, signal))


def leave(turn: Turn, pool: Pool, slot: Slot, run: Run, reason: Reason, timeout: Seconds | None = None) -> None:
    """Drain a run and take it out of the place from which it took jobs."""
    if slot.run is run:
        slot.run = None
    elif slot.successor is run:
        slot.successor = None
        pool.surging.discard(slot.index)
    if run not in slot.draining:
        slot.draining.append(run)
    drain(turn, pool, run, reason, timeout)


def leave_for(turn: Turn, pool: Pool, slot: Slot, run: Run, roll: Roll) -> None:
    """Drain an old run in the course of a rollout, which is not done before it is gone."""
    roll.leaving.add(run.id)
    leave(turn, pool, slot, run, Reason.RESTART, NOW_TIMEOUT if roll.now else None)
