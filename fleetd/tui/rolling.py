"""What the events tell of restarts: a daemon's own rollouts, and when an epoch was raised."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fleetd.tui.model import Model

_EARLIEST = 1_000_000_000  # an epoch below is no time: somebody counted
_AHEAD = 86_400  # seconds that an epoch may be ahead of the clock


class Roll(Struct, frozen=True):
    """A pool that is being moved to a new release; `halted` says why it is not going on."""

    pool: str
    done: int
    slots: int
    halted: str | None = None


def rolls(model: Model) -> list[Roll]:
    """The pools of a daemon that are rolled now, by its events."""
    found: dict[str, Roll] = {}
    for event in model.events:
        kind, pool = event.get("kind"), event.get("pool")
        if kind == "daemon.started":
            found.clear()
        elif isinstance(kind, str) and isinstance(pool, str) and kind.startswith("rollout."):
            roll = _after(found.get(pool), pool, kind, event.get("fields"))
            if roll is None:
                found.pop(pool, None)
            else:
                found[pool] = roll
    return list(found.values())


def _after(before: Roll | None, pool: str, kind: str, fields: Any) -> Roll | None:
    told = fields if isinstance(fields, dict) else {}
    done = _number(told.get("done"), 0 if before is None else before.done)
    slots = _number(told.get("slots"), 0 if before is None else before.slots)
    if kind in {"rollout.started", "rollout.resumed"}:
        return Roll(pool, 0 if kind == "rollout.started" else done, slots)
    if kind == "rollout.progress":
        return Roll(pool, done, slots)
    if kind == "rollout.halted":
        return Roll(pool, done, slots, str(told.get("reason") or "failed"))
    return None


def _number(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def raised_at(model: Model, epoch: int) -> float | None:
    """When an epoch was raised: its rollout says so, or an event, or the number itself where it is a time."""
    if model.scene is not None:
        for rollout in model.scene.rollouts:
            if rollout.epoch == epoch and rollout.at is not None:
                return rollout.at
    for event in reversed(model.events):
        fields = event.get("fields")
        if event.get("kind") == "epoch.raised" and isinstance(fields, dict) and fields.get("epoch") == epoch:
            at = event.get("at")
            return float(at) if isinstance(at, (int, float)) else None
    return float(epoch) if _EARLIEST <= epoch <= model.now + _AHEAD else None
