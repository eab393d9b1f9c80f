"""Counts over the last minutes, kept in a few numbers however many there are."""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

from fleetd.core.alerts import WINDOW
from fleetd.core.spec import Seconds

STEP: Seconds = 10.0  # what is counted together, and forgotten together


class Window(Struct):
    """How much happened in the last WINDOW seconds, and how much of that was bad."""

    steps: deque[tuple[int, int, int]] = field(default_factory=deque)  # (number of the step, bad, all)
    bad: int = 0
    all: int = 0

    def add(self, now: Seconds, *, bad: bool) -> None:
        """Count one more."""
        self.forget(now)
        step, mine = int(now // STEP), int(bad)
        if self.steps and self.steps[-1][0] == step:
            _, before, count = self.steps.pop()
            self.steps.append((step, before + mine, count + 1))
        else:
            self.steps.append((step, mine, 1))
        self.bad += mine
        self.all += 1

    def forget(self, now: Seconds) -> None:
        """Let go of what is too long ago."""
        while self.steps and _leaves(self.steps[0][0]) <= now:
            _, bad, count = self.steps.popleft()
            self.bad -= bad
            self.all -= count

    @property
    def changes_at(self) -> Seconds | None:
        """When something of it will be too long ago; None: it is empty."""
        return _leaves(self.steps[0][0]) if self.steps else None


def _leaves(step: int) -> Seconds:
    return (step + 1) * STEP + WINDOW
