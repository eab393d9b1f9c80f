"""Queues that were not there: asked for ever less often, since RabbitMQ logs two lines for each such question."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fleetd.core.queues import Seconds

_FIRST, _LONGEST = 1.0, 60.0  # seconds from one question to the next; doubled after each


class Absent:
    """When to ask again, by the same clock that `now` is told by."""

    def __init__(self) -> None:
        self._pauses: dict[str, Seconds] = {}
        self._again: dict[str, Seconds] = {}

    def due(self, names: Sequence[str], now: Seconds) -> list[str]:
        """Those to be asked for now; one that was never absent always is."""
        return [name for name in names if now >= self._again.get(name, now)]

    def note(self, asked: Collection[str], absent: Collection[str], now: Seconds) -> None:
        """Which of the queues that were asked for are absent."""
        self._pauses = {
            **{name: pause for name, pause in self._pauses.items() if name not in asked},
            **{name: min(2 * self._pauses.get(name, _FIRST / 2), _LONGEST) for name in absent},
        }
        self._again |= {name: now + self._pauses[name] for name in absent}
        self._again = {name: again for name, again in self._again.items() if name in self._pauses}
