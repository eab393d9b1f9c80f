"""A daemon's own rollouts, and when an epoch was raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from fleetd.tui.model import Model

_EARLIEST = 1_000_000_000  # an epoch below is no time: somebody counted
_AHEAD = 86_400  # seconds that an epoch may be ahead of the clock


class Roll(Struct, frozen=True):
    """A pool that is being moved to a new release; `why` it is not going on, as far as the events tell."""

    pool: str
    state: str
    done: int
    total: int
    why: str = ""

    @property
    def is_halted(self) -> bool:
        """Whether somebody has to look."""
        return self.state == "halted"


def rolls(model: Model) -> list[Roll]:
    """The pools of a daemon that are being rolled, those that were halted first."""
    crews = () if model.scene is None else model.scene.crews
    rolling = [(crew.pool.name, crew.pool.rollout) for crew in crews if crew.pool.rollout is not None]
    found = [Roll(name, roll.state, roll.done, roll.total, _why(model, name, roll.state)) for name, roll in rolling]
    return sorted(found, key=lambda roll: not roll.is_halted)


def _why(model: Model, pool: str, state: str) -> str:
    """Why the pool's last rollout was halted; "" where it was not, or that is too long ago."""
    for event in reversed(model.notable) if state == "halted" else ():
        kind = str(event.get("kind"))
        if event.get("pool") == pool and kind.startswith("rollout."):
            return _reason(event.get("fields", {})) if kind == "rollout.halted" else ""
    return ""


def _reason(fields: Mapping[str, Any]) -> str:
    """With the last line of the worker that failed."""
    reason, lines = str(fields.get("reason", "")), fields.get("lines")
    return f"{reason}: {lines[-1]}" if lines and isinstance(lines, (list, tuple)) else reason


def raised_at(model: Model, epoch: int) -> float | None:
    """When an epoch was raised: its rollout says so, or an event, or the number itself where it is a time."""
    if model.scene is not None:
        for rollout in model.scene.rollouts:
            if rollout.epoch == epoch and rollout.at is not None:
                return rollout.at
    for event in reversed(model.notable):
        fields = event.get("fields")
        if event.get("kind") == "epoch.raised" and isinstance(fields, dict) and fields.get("epoch") == epoch:
            at = event.get("at")
            return float(at) if isinstance(at, (int, float)) else None
    return float(epoch) if _EARLIEST <= epoch <= model.now + _AHEAD else None
