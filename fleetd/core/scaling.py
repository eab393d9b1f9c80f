"""Changing the number of slots of a pool: which join, and which leave."""

from __future__ import annotations

from itertools import count

from fleetd.core import rolling
from fleetd.core.state import Pool, Slot
from fleetd.core.turn import Turn


def fit(turn: Turn, pool: Pool) -> None:
    """Have as many slots as numprocs: the lowest free numbers join; idle workers leave first, then high numbers."""
    staying = [slot for slot in pool.slots.values() if not slot.retiring]
    missing = pool.numprocs - len(staying)
    if missing > 0:
        _join(turn, pool, missing)
    else:
        for slot in _leaving(pool, staying, -missing):
            slot.retiring = True
            rolling.forget_slot(pool, slot.index)
            turn.touch(pool.name, slot.index)


def _join(turn: Turn, pool: Pool, missing: int) -> None:
    for index in count():
        if missing == 0:
            return
        slot = pool.slots.get(index)
        if slot is None:
            pool.slots[index] = slot = Slot(index, pool.release, stopped=pool.stopped)
        elif slot.retiring:
            slot.retiring, slot.release = False, pool.release
        else:
            continue
        rolling.adopt_slot(pool, slot)
        missing -= 1
        turn.touch(pool.name, index)


def _leaving(pool: Pool, staying: list[Slot], number: int) -> list[Slot]:
    if pool.fills_after_exit:  # its numbers stand for something: GPUs, shards
        return sorted(staying, key=lambda s: -s.index)[:number]
    return sorted(staying, key=lambda s: (s.run is not None, s.is_busy, -s.index))[:number]


def retire_if_empty(turn: Turn, pool: Pool, slot: Slot) -> None:
    """Drop a slot that leaves once nothing is left of it."""
    if slot.retiring and slot.is_empty and pool.slots.get(slot.index) is slot:
        del pool.slots[slot.index]
        pool.without.discard(slot.index)
        pool.unproven.discard(slot.index)
        pool.recycling.discard(slot.index)
        turn.must_remember = True
