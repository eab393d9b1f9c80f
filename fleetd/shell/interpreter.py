"""Carries out effects, one by one; decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from fleetd.core.effects import (
    Announce,
    Count,
    Effect,
    Finish,
    Forget,
    KillTree,
    Notify,
    Record,
    Remember,
    Signal,
    Spawn,
)
from fleetd.core.facts import Fact
from fleetd.core.incident import Message
from fleetd.core.records import RunRecord
from fleetd.shell.live_runs import LiveRuns


class Interpreter:
    """Passes each effect to whoever can do it."""

    def __init__(
        self,
        runs: LiveRuns,
        *,
        tell: Callable[[Fact], None],
        remember: Callable[[bool], None],
        notify: Callable[[Message], None],
        finish: Callable[[], None],
    ) -> None:
        self._runs = runs
        self._tell = tell
        self._remember = remember
        self._notify = notify
        self._finish = finish
        self._announced: RunRecord | None = None  # the intent that precedes a Spawn

    def perform(self, effect: Effect) -> None:  # noqa: C901 - one line a kind of effect
        """Do what an effect says; what comes of it returns as events."""
        match effect:
            case Record():
                self._announced = effect.record
                self._runs.record(effect.record)
            case Count():
                self._runs.count(effect.pool, effect.counters)
            case Spawn():
                assert self._announced is not None
                assert self._announced.run == effect.run
                self._runs.spawn(effect, self._announced)
            case Signal():
                self._runs.processes.signal(effect.run, effect.signal)
            case KillTree():
                self._runs.kill(effect.run)
            case Forget():
                self._runs.forget(effect.run)
            case Remember():
                self._remember(effect.lazily)
            case Announce():
                self._tell(effect.fact)
            case Notify():
                self._notify(effect.message)
            case Finish():
                self._finish()
            case _:
                assert_never(effect)
