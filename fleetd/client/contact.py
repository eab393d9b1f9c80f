"""A coordinator that does not answer: waited for, told once, and given up after a while."""

from __future__ import annotations

from collections.abc import Callable

PATIENCE = 60.0  # seconds without any answer


class Contact:
    """Whether a coordinator answers; `tell` gets a line when it stops to, and when it does again."""

    __slots__ = ("_lost_at", "_tell")

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lost_at: float | None = None

    def failed(self, now: float) -> bool:
        """No answer, on the caller's clock; whether that is so for too long."""
        if self._lost_at is None:
            self._lost_at = now
            self._tell("Redis is out of reach, waiting")
        return now - self._lost_at >= PATIENCE

    def answered(self) -> None:
        """An answer."""
        if self._lost_at is not None:
            self._lost_at = None
            self._tell("Redis answers again")
