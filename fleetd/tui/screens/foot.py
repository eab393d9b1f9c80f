"""The foot of every screen: one line of what is asked or was answered, and one of the keys."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.tui.acting import refusal
from fleetd.tui.bindings import Action, Binding, holding, mode_of, shown
from fleetd.tui.lines import Line, Span, Tone, beside, fitted, visible, width_of
from fleetd.tui.model import LISTED, Filtering, Model, Number, Question
from fleetd.tui.rows import orders, rows

FOOT = 2  # lines


def foot(model: Model) -> list[Line]:
    """Two lines."""
    return [_told(model), _hints(model)]


def _told(model: Model) -> Line:
    match model.asking:
        case Question(_, text, counted, is_dangerous=is_dangerous):
            ground = Tone.ALARM if is_dangerous else Tone.ASKING
            counts = f"  ({counted}) " if counted and len(text) + len(counted) + 8 < model.columns else ""
            return Line(fitted([Span(f" {text}?{counts}")], model.columns), ground=ground)
        case Number(_, what, typed):
            spans = [Span(f" Scale {what} to: {typed}_   (4, +2 or -1)")]
            return Line(fitted(spans, model.columns), ground=Tone.ASKING)
        case Filtering():
            spans = [Span(" filter: ", Tone.KEY), Span(visible(model.place.filter)), Span("_", Tone.STRONG)]
            return Line(fitted(spans, model.columns))
        case None:
            return Line(beside(_quiet(model), _where(model), model.columns))


def _where(model: Model) -> list[Span]:
    """Which row of how many, where not all are in sight."""
    if model.place.screen not in LISTED:
        return []
    count = len(rows(model))
    return [Span(f" {model.place.cursor.index + 1} of {count} ", Tone.DIM)] if count else []


def _quiet(model: Model) -> list[Span]:
    spans: list[Span] = []
    if model.message is not None:
        spans.append(Span(f" {visible(model.message.text)}", Tone.BAD if model.message.is_bad else Tone.GOOD))
    elif model.under_way:
        spans.append(Span(" under way: " + ", ".join(_request(model)), Tone.STARTING))
    if model.place.filter:
        spans.append(Span(f"   filter: {visible(model.place.filter)}", Tone.KEY))
    cursor = model.place.cursor
    if cursor.sort and model.place.screen in LISTED:
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
    bound = holding(where, drains=model.leaving_drains)
    bindings = [binding for binding in bound if binding.hint is not None and _is_offered(model, binding)]
    # Help and quit stand first: they must be there when the others do not fit.
    bindings.sort(key=lambda binding: {"help": 0, "quit": 1, "drain": 1}.get(binding.hint or "", 2))
    for binding in bindings:
        told = _hint(model, binding)
        left -= width_of(told)
        if left < 0:
            break
        spans += told
    return Line(spans)


def _is_offered(model: Model, binding: Binding) -> bool:
    question = model.asking
    return binding.action is not Action.EVERYWHERE or (isinstance(question, Question) and question.wide is not None)


def _hint(model: Model, binding: Binding) -> list[Span]:
    hint = binding.hint or ""
    if hint == "queues" and model.place.pane:
        hint = "pools"
    if binding.action is Action.EVERYWHERE and isinstance(model.asking, Question):
        hint = f"{hint} ({model.asking.counted_wide})"
    if binding.verb is not None and refusal(model, binding.verb) is not None:
        return [Span(f"{shown(binding.keys[0])} {hint}  ", Tone.STOPPED)]
    key = Span(shown(binding.keys[0]), Tone.BAD if binding.is_dangerous else Tone.KEY)
    return [key, Span(f" {hint}  ")]
