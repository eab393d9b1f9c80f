"""Why a daemon's workers are not well: what `fleetd health` and /readyz both answer with."""

from __future__ import annotations

from collections.abc import Iterable

from fleetd.core.health import is_expected, is_lost, is_up
from fleetd.core.spec import Seconds
from fleetd.core.state import Pool, Slot, State
from fleetd.shell.waiting import trouble
from fleetd.views.control_characters import made_visible


def reasons_against(
    state: State, slots: Iterable[tuple[Pool, Slot]], now: Seconds, *, ready: bool, with_output: bool = True
) -> list[str]:
    """A line for each worker that is lost, with `ready` for each that does not take jobs; none: all is well.

    `now` is monotonic.  Without `with_output`, the last lines of workers stay out of it: they may say anything.
    """
    reasons = ["the daemon is stopping"] if ready and state.is_stopping else []
    for pool, slot in slots:
        if is_expected(state, pool, slot) and (is_lost(pool, slot, now) or (ready and not is_up(slot))):
            why = trouble(slot, with_output=with_output) or "not healthy yet"
            reasons.append(f"{pool.name}:{slot.index}: {made_visible(why)}")
    return reasons
