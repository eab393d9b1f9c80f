"""The keys, from the table of bindings, and what the shapes mean."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.tui.acting import refusal
from fleetd.tui.bindings import Binding, Mode, holding, shown
from fleetd.tui.documents import Shape
from fleetd.tui.lines import Line, Span, Tone, clip, fitted
from fleetd.tui.look import TONES, Look
from fleetd.tui.model import Model, Screen

MEANINGS = {
    Shape.BUSY: "has a job in hand",
    Shape.IDLE: "is healthy and waits for a job",
    Shape.RUNNING: "is healthy; its framework does not tell of jobs in hand",
    Shape.STARTING: "was started and is not healthy yet",
    Shape.DRAINING: "finishes the job in hand and ends",
    Shape.BACKOFF: "ended unplanned, and is started again after a while",
    Shape.WAITING: "waits to be started",
    Shape.STOPPED: "was stopped",
    Shape.GIVEN_UP: "failed too often: nothing more is tried",
    Shape.UNKNOWN: "is in a state that this version does not know",
}
_KEYS = 22  # columns


def bindings(*, drains: bool | None) -> Iterator[Binding]:
    """Every binding once, in the order of the table: where leaving the view drains, or does not; None: of both."""
    seen: set[Binding] = set()
    for where in (*Screen, *Mode):
        for binding in holding(where, drains=drains):
            if binding not in seen:
                seen.add(binding)
                yield binding


def heights(_model: Model, room: int) -> tuple[int, int]:
    """Lines in sight."""
    return max(1, room), 0


def length(model: Model) -> int:
    """Lines there are."""
    return len(list(bindings(drains=model.leaving_drains))) + len(Shape) + 5


def draw(model: Model, look: Look, room: int, top: int) -> list[Line]:
    """The lines from `top` on."""
    return [line for index, line in enumerate(_lines(model, look)) if top <= index < top + room]


def _lines(model: Model, look: Look) -> Iterator[Line]:
    width = model.columns
    yield Line([Span(clip(" WORKERS", width), Tone.HEAD)], ground=Tone.HEAD)
    for shape, meaning in MEANINGS.items():
        told = [Span(f" {look.glyphs.shapes[shape]} {shape:{_KEYS - 3}}", TONES[shape]), Span(meaning)]
        yield Line(fitted(told, width))
    yield Line([Span(" more workers than columns: the number of each", Tone.DIM)])
    yield Line()
    yield Line([Span(clip(" KEYS", width), Tone.HEAD)], ground=Tone.HEAD)
    for binding in bindings(drains=model.leaving_drains):
        yield _binding(model, binding)
    yield Line()


def _binding(model: Model, binding: Binding) -> Line:
    keys = " ".join(shown(key) for key in binding.keys)
    refused = None if binding.verb is None else refusal(model, binding.verb)
    if refused is not None:
        return Line(fitted([Span(f" {keys:{_KEYS - 1}}{binding.help} ({refused.why})", Tone.STOPPED)], model.columns))
    tone = Tone.BAD if binding.is_dangerous else Tone.KEY
    where = frozenset(binding.where) & frozenset(Mode)
    told = f" (while {' or '.join(sorted(where))})" if where and not binding.where & frozenset(Screen) else ""
    return Line(fitted([Span(f" {keys:{_KEYS - 1}}", tone), Span(binding.help), Span(told, Tone.DIM)], model.columns))
