"""Tables with their states in colour, where the terminal and its user want that."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping

from fleetd.views.status_table import Tone

# Select Graphic Rendition (ECMA-48, 8.3.117).
_COLOURS: Mapping[Tone, str] = {Tone.GOOD: "32", Tone.BUSY: "36", Tone.WORRYING: "33", Tone.BAD: "31"}


def width() -> int | None:
    """The columns of the terminal; None where lines are not cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def painted(lines: Iterable[tuple[str, str, str, Tone]]) -> list[str]:
    """The lines of `status_table.aligned`."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return [before + (_in_colour(state, tone) if coloured else state) + after for before, state, after, tone in lines]


def _in_colour(state: str, tone: Tone) -> str:
    return f"\x1b[{_COLOURS[tone]}m{state}\x1b[0m" if tone in _COLOURS else state
