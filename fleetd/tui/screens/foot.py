"""The foot of every screen: one line of what is asked or was answered, and one of the keys."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.tui.acting import refusal
from fleetd.tui.bindings import Binding, holding, mode_of, shown
from fleetd.tui.lines import Line, Span, Tone, fitted, visible, width_of
from fleetd.tui.model import Filtering, Model, Number, Question, Screen
from fleetd.tui.rows import orders

FOOT = 2  # lines


def foot(model: Model) -> list[Line]:
    """Two lines."""
    return [_told(model), _hints(model)]


def _told(model: Model) -> Line:
    match model.asking:
        case Question(_, text, wide, is_dangerous):
            keys = [("y", "yes"), *([("a", "on all hosts")] if wide is not None else []), ("n", "no")]
            said = "   ".join(f"{key} {meaning}" for key, meaning in keys)
            spans = _before([Span(f" {text}?")], [Span(f"   {said} ")], model.columns)
            return Line(spans, ground=Tone.ALARM if is_dangerous else Tone.ASKING)
        case Number(_, what, typed):
            said = f"_   4, +2 or -1; {shown('enter')} does it, {shown('escape')} leaves it "
            return Line(_before([Span(f" Scale {what} to: {typed}")], [Span(said)], model.columns), ground=Tone.ASKING)
        case Filtering():
            spans = [Span(" filter: ", Tone.KEY), Span(visible(model.place.filter)), Span("_", Tone.STRONG)]
            return Line(fitted(spans, model.columns))
        case None:
            return Line(fitted(_quiet(model), model.columns))


def _before(question: list[Span], keys: list[Span], width: int) -> list[Span]:
    """The question is cut before its keys are."""
    room = max(0, width - width_of(keys))
    return fitted([*(fitted(question, room) if width_of(question) > room else question), *keys], width)


def _quiet(model: Model) -> list[Span]:
    spans: list[Span] = []
    if model.message is not None:
        spans.append(Span(f" {visible(model.message.text)}", Tone.BAD if model.message.is_bad else Tone.GOOD))
    elif model.under_way:
        spans.append(Span(" under way: " + ", ".join(_request(model)), Tone.STARTING))
    if model.place.filter:
        spans.append(Span(f"   filter: {visible(model.place.filter)}", Tone.KEY))
    cursor = model.place.cursor
    if cursor.sort and model.place.screen in {Screen.OVERVIEW, Screen.HOST, Screen.POOL}:
        spans.append(Span(f"   by {orders(model.place)[cursor.sort].column.lower()}", Tone.DIM))
    if model.targets:
        spans.append(Span(f"   only {visible(' '.join(model.targets))}", Tone.DIM))
    return spans


def _request(model: Model) -> Iterator[str]:
    for request in model.under_way:
        yield visible(f"{request.verb} {' '.join(request.targets) or request.epoch or 'everything'}")


def _hints(model: Model) -> Line:
    where = mode_of(model) or model.place.screen
    spans: list[Span] = [Span(" ")]
    left = model.columns - 1
    bindings = [binding for binding in holding(where) if binding.hint is not None]
    # Help and quit stand first: they must be there when the others do not fit.
    bindings.sort(key=lambda binding: {"help": 0, "quit": 1}.get(binding.hint or "", 2))
    for binding in bindings:
        told = _hint(model, binding)
        left -= width_of(told)
        if left < 0:
            break
        spans += told
    return Line(spans)


def _hint(model: Model, binding: Binding) -> list[Span]:
    hint = binding.hint or ""
    if hint == "queues" and model.place.pane:
        hint = "pools"
    if binding.verb is not None and refusal(model, binding.verb) is not None:
        return [Span(f"{shown(binding.keys[0])} {hint}  ", Tone.STOPPED)]
    key = Span(shown(binding.keys[0]), Tone.BAD if binding.is_dangerous else Tone.KEY)
    return [key, Span(f" {hint}  ")]
