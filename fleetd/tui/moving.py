"""Where one is in a list or a text: keys move it, and it stays in what there is to see."""

from __future__ import annotations

from msgspec.structs import replace

from fleetd.tui.bindings import Action
from fleetd.tui.model import Cursor, Model, Place, Screen
from fleetd.tui.rows import Row, rows
from fleetd.tui.screens.frame import height_of, length_of, top_of

MOVES = frozenset(
    {Action.UP, Action.DOWN, Action.PAGE_UP, Action.PAGE_DOWN, Action.FIRST, Action.LAST, Action.LEFT, Action.RIGHT}
)
_TEXTS = frozenset({Screen.WORKER, Screen.EVENTS, Screen.HELP})
_SHIFT = 20  # columns
_MOST_SHIFT = 2000


def moved(model: Model, action: Action) -> Model:
    """After a key that moves."""
    place = model.place
    if action in {Action.LEFT, Action.RIGHT}:
        shift = place.shift + (_SHIFT if action is Action.RIGHT else -_SHIFT)
        return _with(model, replace(place, shift=min(_MOST_SHIFT, max(0, shift))))
    height = max(1, height_of(model, place.pane))
    if place.screen in _TEXTS:
        return _scrolled(model, action, height)
    listed = rows(model)
    index = _target(place.cursor.index, action, height, len(listed))
    key = listed[index].key if listed else None
    return _with(model, _with_cursor(place, place.pane, replace(place.cursor, index=index, key=key)))


def settled(model: Model) -> Model:
    """With every cursor on a row that is there, and that row in sight."""
    if model.scene is None or model.place.screen in _TEXTS:
        return model
    place = model.place
    for pane in (0, 1) if place.screen is Screen.OVERVIEW else (0,):
        cursor = _settled(place.cursors[pane], rows(model, pane), max(1, height_of(model, pane)))
        if cursor != place.cursors[pane]:
            place = _with_cursor(place, pane, cursor)
    if place.screen is Screen.OVERVIEW and place.pane and not model.scene.flows:
        place = replace(place, pane=0)
    return model if place is model.place else _with(model, place)


def _settled(cursor: Cursor, listed: list[Row], height: int) -> Cursor:
    if not listed:
        return replace(cursor, index=0, top=0)
    index = min(cursor.index, len(listed) - 1)
    if cursor.key is not None and listed[index].key != cursor.key:
        index = next((place for place, row in enumerate(listed) if row.key == cursor.key), index)
    top = min(max(cursor.top, index - height + 1), index, max(0, len(listed) - height))
    return replace(cursor, key=listed[index].key, index=index, top=top)


def _scrolled(model: Model, action: Action, height: int) -> Model:
    place, length = model.place, length_of(model)
    last = max(0, length - height)
    top = _target(top_of(model), action, height, last + 1)
    at_end = place.screen is not Screen.HELP and (action is Action.LAST or (top == last and action is not Action.FIRST))
    if action in {Action.UP, Action.PAGE_UP, Action.FIRST}:
        at_end = False
    return _with(model, replace(_with_cursor(place, 0, replace(place.cursors[0], top=top)), at_end=at_end))


def _target(index: int, action: Action, height: int, count: int) -> int:
    wanted = {
        Action.UP: index - 1,
        Action.DOWN: index + 1,
        Action.PAGE_UP: index - height,
        Action.PAGE_DOWN: index + height,
        Action.FIRST: 0,
        Action.LAST: count - 1,
    }[action]
    return max(0, min(wanted, count - 1))


def _with_cursor(place: Place, pane: int, cursor: Cursor) -> Place:
    return replace(place, cursors=(cursor, place.cursors[1]) if pane == 0 else (place.cursors[0], cursor))


def _with(model: Model, place: Place) -> Model:
    return replace(model, places=(*model.places[:-1], place))
