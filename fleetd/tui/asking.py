"""The keys while something is asked: a yes, a number of workers, a text to filter by."""

from __future__ import annotations

import re

from msgspec.structs import replace

from fleetd.tui.bindings import Action, Binding
from fleetd.tui.model import Filtering, Message, Model, Number, Question
from fleetd.tui.news import Do, Leave, Wish
from fleetd.views.picture import Request

_MOST_TYPED = 40  # characters
_CHANGE = re.compile(r"[+-]?[0-9]{1,5}")

Next = tuple[Model, tuple[Wish, ...]]


def confirming(model: Model, _key: str, binding: Binding | None) -> Next:
    """Y does it, A does it on all hosts, n leaves it; what is no answer is none."""
    question = model.asking
    assert isinstance(question, Question)
    if binding is None:
        return model, ()
    if binding.action is Action.NO:
        return replace(model, asking=None, message=Message("nothing was done", until=model.now + 3)), ()
    if binding.action is Action.YES and question.request is None:
        return model, (Leave(),)
    request = question.request if binding.action is Action.YES else question.wide
    return (model, ()) if request is None else _begun(model, request)  # None: there is nothing wider


def _begun(model: Model, request: Request) -> Next:
    return replace(model, asking=None, under_way=(*model.under_way, request)), (Do(request),)


def numbering(model: Model, key: str, binding: Binding | None) -> Next:
    """Digits and a sign; Enter asks for a yes by doing it: the number was typed."""
    asked = model.asking
    assert isinstance(asked, Number)
    match None if binding is None else binding.action:
        case Action.NO:
            return replace(model, asking=None), ()
        case Action.ERASE:
            return replace(model, asking=replace(asked, typed=asked.typed[:-1], is_proposed=False)), ()
        case Action.ACCEPT if _CHANGE.fullmatch(asked.typed):
            return _begun(model, replace(asked.request, change=asked.typed))
        case Action.ACCEPT:
            message = Message("a number of workers: 4, +2 or -1", is_bad=True)
            return replace(model, message=message), ()
        case _ if len(key) == 1 and key in "+-0123456789":
            before = asked.typed
            if asked.is_proposed:  # what is typed takes its place; a digit that of its number
                before = "" if key in "+-" else before[:1]
            asked = replace(asked, typed=(before + key)[:_MOST_TYPED], is_proposed=False)
            return replace(model, asking=asked, message=None), ()
        case _:
            return replace(model, message=None), ()


def filtering(model: Model, key: str, binding: Binding | None) -> Next:
    """Every character narrows the list at once."""
    before = model.asking
    assert isinstance(before, Filtering)
    text = model.place.filter
    match None if binding is None else binding.action:
        case Action.ACCEPT:
            return replace(model, asking=None), ()
        case Action.NO:
            model, text = replace(model, asking=None), before.before
        case Action.ERASE:
            text = text[:-1]
        case _:
            text = (text + key)[:_MOST_TYPED] if len(key) == 1 else text
    return replace(model, places=(*model.places[:-1], replace(model.place, filter=text))), ()
