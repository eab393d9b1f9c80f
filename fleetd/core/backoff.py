"""How long a slot waits after an unplanned exit, and when it gives up."""

from __future__ import annotations

from collections.abc import Sequence

from fleetd.core.spec import Backoff, GiveUp, Seconds

JITTER = 0.25  # a share of the delay, to both sides


def delay(backoff: Backoff, failures: int, chance: float) -> Seconds:
    """The wait after `failures` unplanned exits in a row (1 is the first).

    `first * factor ** (failures - 1)`, spread by up to JITTER to both sides as `chance` (0 to 1) says, at most `max`.
    """
    if failures <= 0:
        return 0.0
    try:
        exact = backoff.first * backoff.factor ** (failures - 1)
    except OverflowError:
        exact = backoff.max
    return min(backoff.max, min(backoff.max, exact) * (1 - JITTER + 2 * JITTER * chance))


def has_given_up(give_up: GiveUp | None, failed_at: Sequence[Seconds], now: Seconds) -> bool:
    """Whether as many failures as `give_up` bears fall within its window, which ends now."""
    if give_up is None:
        return False
    return sum(1 for at in failed_at if at > now - give_up.within) >= give_up.failures
