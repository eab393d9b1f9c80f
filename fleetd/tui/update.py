"""The one place where the model changes: pure, (model, news) -> (model, wishes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from msgspec.structs import replace

from fleetd.errors import ExitCode
from fleetd.tui import happened
from fleetd.tui.acting import Act, Refusal, chosen, leaving, proposed
from fleetd.tui.asking import confirming, filtering, numbering
from fleetd.tui.bindings import Action, Binding, Mode, bound, mode_of
from fleetd.tui.kept import with_events, with_lines
from fleetd.tui.lines import visible
from fleetd.tui.model import (
    Filtering,
    Message,
    Model,
    Number,
    Output,
    Place,
    Question,
    Screen,
    Wanted,
)
from fleetd.tui.moving import MOVES, moved, settled
from fleetd.tui.narrowing import narrowed
from fleetd.tui.news import (
    Answered,
    Happened,
    Leave,
    News,
    OutputEnded,
    Passed,
    Pressed,
    Printed,
    Redraw,
    Resized,
    Seen,
    Suspend,
    Wish,
)
from fleetd.tui.rows import orders
from fleetd.tui.scene import read
from fleetd.views.picture import Verb

Next = tuple[Model, tuple[Wish, ...]]

SHOWN_FOR = 10.0  # seconds, of what came of a request when all is well


def update(model: Model, news: News) -> Next:
    """The model after the news, and what is to be done."""
    if isinstance(news, Pressed):
        after, wishes = _pressed(model, news.key)
    else:
        after, wishes = _told(model, news), ()
    if after.place.screen is not Screen.WORKER or after.output is None or after.output.worker != _watched(after):
        watched = _watched(after)
        after = replace(after, output=None if watched is None else Output(watched))
    return settled(after), wishes


def wanted(model: Model) -> Wanted:
    """What is to run beside the view: measuring costs the daemon most, so only what is looked at is measured."""
    place = model.place
    looked_at = place.pool if place.screen in {Screen.POOL, Screen.WORKER} else None
    return Wanted(_watched(model), frozenset() if looked_at is None else frozenset({looked_at}))


def _watched(model: Model) -> str | None:
    """In a fleet with its member before it: each may have a worker of that name."""
    place = model.place
    if place.screen is not Screen.WORKER or place.worker is None:
        return None
    is_of_fleet = model.scene is not None and model.scene.fleet is not None
    return f"{place.host}/{place.worker[1]}" if is_of_fleet else place.worker[1]


# -- what others tell --------------------------------------------------------------------------------------------------


def _told(model: Model, news: News) -> Model:
    match news:
        case Resized(columns, rows):
            return replace(model, columns=columns, rows=rows)
        case Passed(now):
            return _later(model, now)
        case Seen(picture):
            return replace(_later(model, max(model.now, picture.seen_at)), scene=read(narrowed(picture, model.targets)))
        case Happened(events):
            return with_events(model, tuple(map(happened.read, events)))
        case Printed(worker, lines) if model.output is not None and model.output.worker == worker:
            return with_lines(model, model.output, lines)
        case OutputEnded(worker, why) if model.output is not None and model.output.worker == worker:
            return replace(model, output=replace(model.output, error=why))
        case Answered(request, text, is_bad):
            left = list(model.under_way)
            if request in left:
                left.remove(request)
            return replace(model, under_way=tuple(left), message=_answer(model, visible(text), is_bad=is_bad))
        case _:
            return model


def _answer(model: Model, text: str, *, is_bad: bool) -> Message:
    """What is bad stays until a key is pressed: it is not to be gone before it was read."""
    if is_bad:
        return Message(text, is_bad=True)
    if model.message is not None and model.message.is_bad:
        return model.message
    return Message(text, until=model.now + SHOWN_FOR)


def _later(model: Model, now: float) -> Model:
    message = model.message
    if message is not None and message.until is not None and now > message.until:
        message = None
    return replace(model, now=now, message=message)


# -- keys --------------------------------------------------------------------------------------------------------------


def _pressed(model: Model, key: str) -> Next:
    binding = bound(model, key)
    if binding is not None and binding.action in _ANYWHERE:
        return model, (_ANYWHERE[binding.action],)
    mode = mode_of(model)
    if mode is not None:
        return _MODES[mode](model, key, binding)
    model = replace(model, message=None)
    if binding is None:
        return model, ()
    if binding.verb is not None:
        return _asked(model, binding, binding.verb), ()
    if binding.action in MOVES:
        return moved(model, binding.action), ()
    return _ACTIONS[binding.action](model), ()


def _asked(model: Model, binding: Binding, verb: Verb) -> Model:
    act = proposed(model, verb)
    match act:
        case Refusal(why):
            return replace(model, message=Message(f"{binding.help.partition(':')[0]}: {why}", is_bad=True))
        case Act() if verb is Verb.SCALE:
            proposal = "+1" if binding.action is Action.MORE else "-1"
            return replace(model, asking=Number(act.request, act.what, proposal, is_proposed=True))
        case Act(request, _, counted, wide, counted_wide):
            question = Question(request, act.question, counted, wide, counted_wide, binding.is_dangerous)
            return replace(model, asking=question)


_ANYWHERE: Mapping[Action, Wish] = {
    Action.QUIT: Leave(),
    Action.INTERRUPT: Leave(ExitCode.INTERRUPTED),
    Action.SUSPEND: Suspend(),
    Action.REDRAW: Redraw(),
}
_MODES: Mapping[Mode, Callable[[Model, str, Binding | None], Next]] = {
    Mode.CONFIRMING: confirming,
    Mode.TYPING_NUMBER: numbering,
    Mode.FILTERING: filtering,
}


# -- from screen to screen ---------------------------------------------------------------------------------------------


def _to(model: Model, place: Place) -> Model:
    return replace(model, places=(*model.places, place))


def _open(model: Model) -> Model:
    row = chosen(model)
    if row is None:
        return model
    if row.worker is not None and row.crew is not None:
        return _to(model, _at_worker(row.crew.host.name, row.crew.pool.name, row.key))
    if row.crew is not None:
        return _to(model, Place(Screen.POOL, row.crew.host.name, row.crew.pool.name))
    if row.flow is not None:
        return _open_pool_of_queue(model, row.flow.pool)
    return model if row.host is None else _to(model, Place(Screen.HOST, row.host.name))


def _at_worker(host: str, pool: str, worker: tuple[str, ...]) -> Place:
    return Place(Screen.WORKER, host, pool, worker, at_end=True)


def _open_pool_of_queue(model: Model, pool: str) -> Model:
    """Its pool where that is on one host, else the pools of that name."""
    assert model.scene is not None
    crews = [crew for crew in model.scene.crews if crew.pool.name == pool]
    if len(crews) == 1:
        return _to(model, Place(Screen.POOL, crews[0].host.name, pool))
    place = replace(model.place, pane=0, filter=pool)
    return replace(model, places=(*model.places[:-1], place))


def _back(model: Model) -> Model:
    if model.place.filter:
        return replace(model, places=(*model.places[:-1], replace(model.place, filter="")))
    return replace(model, places=model.places[:-1]) if len(model.places) > 1 else model


def _host(model: Model) -> Model:
    row = chosen(model)
    name = model.place.host if row is None or row.host is None else row.host.name
    if name is None and model.scene is not None and len(model.scene.hosts) == 1:
        name = model.scene.hosts[0].name
    if name is None:
        return replace(model, message=Message("look at the host: choose one first", is_bad=True))
    return _to(model, Place(Screen.HOST, name))


def _follow(model: Model) -> Model:
    if model.place.screen is Screen.WORKER:
        return replace(model, places=(*model.places[:-1], replace(model.place, at_end=True)))
    return _open(model)


def _other_pane(model: Model) -> Model:
    return replace(model, places=(*model.places[:-1], replace(model.place, pane=1 - model.place.pane)))


def _screen(screen: Screen, model: Model) -> Model:
    """Events, or help: once, however often they are asked for."""
    below = tuple(place for place in model.places if place.screen is not screen)
    return replace(model, places=(*below, Place(screen, at_end=screen is Screen.EVENTS)))


def _drain(model: Model) -> Model:
    return replace(model, asking=leaving(model))


def _notable(model: Model) -> Model:
    place = replace(model.place, notable=not model.place.notable, at_end=True)
    return replace(model, places=(*model.places[:-1], place))


def _filter(model: Model) -> Model:
    return replace(model, asking=Filtering(model.place.filter))


def _sort(model: Model, *, reverse: bool = False) -> Model:
    place = model.place
    cursor = place.cursor
    if reverse:
        cursor = replace(cursor, reverse=not cursor.reverse)
    else:
        cursor = replace(cursor, sort=(cursor.sort + 1) % len(orders(place)), reverse=False)
    cursors = (cursor, place.cursors[1]) if place.pane == 0 else (place.cursors[0], cursor)
    return replace(model, places=(*model.places[:-1], replace(place, cursors=cursors)))


_ACTIONS: Mapping[Action, Callable[[Model], Model]] = {
    Action.OPEN: _open,
    Action.BACK: _back,
    Action.OTHER_PANE: _other_pane,
    Action.EVENTS: partial(_screen, Screen.EVENTS),
    Action.HELP: partial(_screen, Screen.HELP),
    Action.LOOK_AT_HOST: _host,
    Action.FOLLOW: _follow,
    Action.DRAIN: _drain,
    Action.NOTABLE: _notable,
    Action.FILTER: _filter,
    Action.SORT: _sort,
    Action.REVERSE: partial(_sort, reverse=True),
}
