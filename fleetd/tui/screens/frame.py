"""A whole frame: head, the screen that is shown, foot; never more lines, nor wider ones, than fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fleetd.tui.bindings import Action, bound
from fleetd.tui.lines import Line, Span, Tone, clip
from fleetd.tui.look import Look
from fleetd.tui.model import LEAST_COLUMNS, LEAST_ROWS, Model, Question, Screen
from fleetd.tui.screens import events, help, host, overview, pool, worker  # noqa: A004 - the screen
from fleetd.tui.screens.foot import FOOT, foot
from fleetd.tui.screens.head import head, head_height


class Drawn(NamedTuple):
    """A screen: how high its lists are in so many lines, how long its text is, and its lines."""

    heights: Callable[[Model, int], tuple[int, int]]
    length: Callable[[Model], int]  # of a text that is scrolled, 0 for a list
    draw: Callable[[Model, Look, int, int], list[Line]]  # so many lines at most, a text from this one on


def _none(_model: Model) -> int:
    return 0


_SCREENS: Mapping[Screen, Drawn] = {
    Screen.OVERVIEW: Drawn(overview.heights, _none, overview.draw),
    Screen.HOST: Drawn(host.heights, _none, host.draw),
    Screen.POOL: Drawn(pool.heights, _none, pool.draw),
    Screen.WORKER: Drawn(worker.heights, worker.length, worker.draw),
    Screen.EVENTS: Drawn(events.heights, events.length, events.draw),
    Screen.HELP: Drawn(help.heights, help.length, help.draw),
}
_WAYS_OUT = {Action.QUIT: "; q quits", Action.DRAIN: "; q drains", Action.BACK: "; q goes back"}


def frame(model: Model, look: Look) -> list[Line]:
    """Exactly as many lines as the terminal has rows."""
    if model.is_too_small:
        return _too_small(model)
    above, room = head(model, look), _room(model)
    lines = _SCREENS[model.place.screen].draw(model, look, room, top_of(model))[:room]
    lines += [Line()] * (room - len(lines))
    return [*above, *lines, *foot(model)]


def height_of(model: Model, pane: int) -> int:
    """How many rows of a pane's list, or lines of a text, are shown."""
    return 0 if model.is_too_small else _SCREENS[model.place.screen].heights(model, _room(model))[pane]


def length_of(model: Model) -> int:
    """How many lines the text of a screen has."""
    return _SCREENS[model.place.screen].length(model)


def top_of(model: Model) -> int:
    """The first line of a text that is shown."""
    last = max(0, length_of(model) - max(1, height_of(model, 0)))
    return last if model.place.at_end else min(model.place.cursor.top, last)


def _room(model: Model) -> int:
    return max(0, model.rows - head_height(model) - FOOT)


def _too_small(model: Model) -> list[Line]:
    leaves = bound(model, "q")
    way_out = _WAYS_OUT.get(leaves.action, "") if leaves is not None else ""
    told = (f"too small: {model.columns}x{model.rows}", f"{LEAST_COLUMNS}x{LEAST_ROWS} is the least{way_out}")
    if isinstance(model.asking, Question):  # a key may have been pressed blindly
        told = (f"{model.asking.text}?", "y: yes, n: no")
    lines = [Line([Span(clip(text, model.columns), Tone.WORRYING)]) for text in told]
    return [*lines, *[Line()] * model.rows][: max(0, model.rows)]
