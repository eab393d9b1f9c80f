"""The one door to the core: an event and the time in, effects out.

decide(state, event, now) -> effects          next_deadline(state) -> when a Tick is due
"""

from __future__ import annotations

from typing import assert_never

from fleetd.core import brokers, conditions, fleet, incidents, reconcile, recycle, requests
from fleetd.core.deadlines import next_deadline
from fleetd.core.effects import Effect, Finish, Remember
from fleetd.core.events import (
    AlertTold,
    AskedForTime,
    Event,
    Exited,
    FleetLost,
    FleetObserved,
    JobReported,
    MemorySampled,
    OutputJudged,
    PauseRequested,
    ProcessGone,
    QueuesRead,
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
    Spawned,
    SpawnFailed,
    SpecChanged,
    StartRequested,
    StopRequested,
    Tick,
)
from fleetd.core.state import Moment, State
from fleetd.core.turn import Turn

__all__ = ["decide", "next_deadline"]


def decide(state: State, event: Event, now: Moment) -> list[Effect]:
    """Apply an event to the state (which is changed in place) and answer what is to be done, in order."""
    turn = Turn(state, now)
    _dispatch(turn, event)
    reconcile.until_settled(turn)
    fleet.end_turn(turn)
    conditions.end_turn(turn, event)
    turn.effects += turn.over
    if turn.must_remember:
        lazily = isinstance(event, JobReported | Exited | Tick) and not turn.remembers_now
        # Of a drain the journal tells before it begins, of a pause only this: so that comes before the signals.
        first = isinstance(event, PauseRequested | ResumeRequested)
        turn.effects.insert(0 if first else len(turn.effects), Remember(lazily=lazily))
    if state.is_stopping and not state.is_finished and not state.runs:
        state.is_finished = True
        turn.emit(Finish())
    state.version += 1
    return turn.effects


def _dispatch(turn: Turn, event: Event) -> None:  # noqa: C901, PLR0912 - one line a kind of event
    match event:
        case (
            Spawned()
            | SpawnFailed()
            | Exited()
            | JobReported()
            | ProcessGone()
            | SaidReady()
            | SignalLost()
            | SaidStatus()
            | SaidStopping()
            | SaidAlive()
            | AskedForTime()
        ):
            run = turn.state.runs.get(event.run)
            if run is not None:
                reconcile.apply(turn, run, event)
        case QueuesRead():
            brokers.observe(turn, event)
        case FleetObserved():
            fleet.observe(turn, event)
        case FleetLost():
            fleet.lose(turn, event)
        case Tick():
            reconcile.on_time(turn)
        case MemorySampled():
            recycle.check_memory(turn, event.rss)
        case AlertTold():
            incidents.told(turn, event.key, event.told)
        case OutputJudged():
            conditions.judge_output(turn, event)
        case SpecChanged():
            requests.change_spec(turn, event)
        case Restored():
            requests.restore(turn, event)
        case StartRequested():
            requests.start(turn, event)
        case StopRequested():
            requests.stop(turn, event)
        case ShutdownRequested():
            requests.shut_down(turn, event)
        case RestartRequested():
            requests.restart(turn, event)
        case ScaleRequested():
            requests.scale(turn, event)
        case PauseRequested():
            requests.pause(turn, event)
        case ResumeRequested():
            requests.resume(turn, event)
        case _:
            assert_never(event)
