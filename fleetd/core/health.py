"""Whether a place is well: what `status`, `health` and every waiting command mean by it."""

from __future__ import annotations

from fleetd.core.reconcile import is_wanted
from fleetd.core.restarts import CRASH_LOOP, has_stayed
from fleetd.core.spec import Seconds
from fleetd.core.state import Pool, Slot, State


def is_up(slot: Slot) -> bool:
    """Whether a worker takes jobs, or the last one left as planned after its jobs, and the next is on its way."""
    return not slot.retiring and (slot.takes_jobs or (slot.came_up and not slot.failures))


def is_expected(state: State, pool: Pool, slot: Slot) -> bool:
    """Whether a worker should be up in it: it is wanted, or only not wanted any more because it failed."""
    over = slot.stopped or slot.retiring or pool.removed or state.is_stopping
    return is_wanted(state, pool, slot) or (not over and (slot.given_up or has_failed_for_good(pool, slot)))


def is_lost(pool: Pool, slot: Slot, now: Seconds) -> bool:
    """Whether no worker stays in it: it crashes again and again, or is not started any more; `now` is monotonic."""
    crashes = slot.failures >= CRASH_LOOP and not (slot.run is not None and has_stayed(pool, slot.run, now))
    return slot.given_up or crashes or has_failed_for_good(pool, slot)


def has_failed_for_good(pool: Pool, slot: Slot) -> bool:
    """Whether its last run ended badly and the restart policy wants no other."""
    last = slot.last_exit
    return slot.finished and last is not None and (last.error is not None or last.code not in pool.spec.exit_codes)
