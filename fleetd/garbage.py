"""When Python looks for objects that only refer to each other; everything else goes as soon as nobody has it."""

from __future__ import annotations

import gc

IMPORTED = 100_000  # objects, more than imports make: looking for garbage among them would take a sixth of their time
NEW = 2_000  # objects since it was looked for last; a finished conversation leaves a handful


def leave_until_imported() -> None:
    """Do not look while all is being imported; a short command ends before there is any."""
    gc.set_threshold(IMPORTED)


def look_from_now_on() -> None:
    """For a process that stays: look among what comes, and not among what was imported, which stays."""
    gc.freeze()
    gc.set_threshold(NEW)
